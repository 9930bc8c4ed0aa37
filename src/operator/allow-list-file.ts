// The file of device IDs that an allow-list is imported from: text, one ID a line, or CSV whose further columns are labels.

import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { CsvError, parse } from 'csv-parse';
import { Problem } from '../problem.ts';
import { faultOfDeviceId } from '../provisioning/device-id.ts';
import type { AllowListEntry } from '../registry/allow-list.ts';
import { mostLabels } from '../registry/label-values.ts';
import { faultOfLabel, labelNameOf } from './label-names.ts';

const delimiters = [',', ';', '\t'];
const header = /^device[ _-]?id$/i;
/** So many bytes are read before other requests get their turn. */
const bytesAtOnce = 16_384;
/** How far the first line that counts may be into the file, in characters. */
const longestBeginning = 65_536;
const lineRules = {
  record_delimiter: ['\r\n', '\n', '\r'],
  skip_empty_lines: true,
  comment: '#',
  comment_no_infix: true,
  // A quotation that never ends would else take the whole file into memory.
  max_record_size: 65_536,
};
const lenient = { bom: true, relax_column_count: true, relax_quotes: true, trim: true };

/** What is wrong with a row. */
export interface RowFault {
  /** Of the file, from 1 on; the last of a row that has several. */
  readonly line: number;
  /** The device ID that stands there. */
  readonly device_id: string;
  /** One sentence. */
  readonly fault: string;
}

/** Rows read: those that can be imported, and those that cannot. */
export interface ReadRows {
  readonly entries: AllowListEntry[];
  /** Where each of them stands, as a fault's `line` does. */
  readonly lines: number[];
  readonly faults: RowFault[];
}

/** Which column is what: known after the first row. */
interface Columns {
  readonly deviceId: number;
  /** The labels by their columns; none where the file has no head. */
  readonly labels: readonly (readonly [column: number, name: string])[];
}

/**
 * Reads a file as it arrives, up to `rowsAtOnce` rows at a time. The first line says how: its delimiter is the file's, and
 * where it has a column `device_id`, that column counts and each other one is a label by its head, else the first counts
 * and the others are nothing. An ID that holds a delimiter, white space at an end or `#` at its beginning, which makes a
 * comment, stands in double quotes.
 * Throws `invalid_request` where the file is no such text, from where on nothing of it is read.
 */
export async function* readAllowList(source: AsyncIterable<Buffer>, rowsAtOnce: number): AsyncGenerator<ReadRows> {
  const text = inTurns(source);
  const beginning = await beginningOf(text);
  const parser = parse({ ...lineRules, ...lenient, delimiter: delimiterOf(beginning), info: true });
  const rows: AsyncIterable<{ record: string[]; info: { lines: number } }> = Readable.from(
    resumed(beginning, text),
  ).compose(parser);
  let columns: Columns | null = null;
  let read: ReadRows = { entries: [], lines: [], faults: [] };
  let any = false;
  try {
    for await (const { record, info } of rows) {
      if (columns === null) {
        const named = record.findIndex((field) => header.test(field));
        columns = { deviceId: Math.max(named, 0), labels: named === -1 ? [] : labelColumns(record, named) };
        if (named !== -1) continue;
      }
      any = true;
      const { entry, fault } = readRow(record, columns);
      if (fault === null) {
        read.entries.push(entry);
        read.lines.push(info.lines);
      } else read.faults.push({ line: info.lines, device_id: entry.device_id.slice(0, 80), fault });
      if (read.entries.length + read.faults.length < rowsAtOnce) continue;
      yield read;
      read = { entries: [], lines: [], faults: [] };
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new Problem('invalid_request', `The file is no CSV: ${error.message}.`);
  }
  if (!any) throw new Problem('invalid_request', 'There is no device ID in the file.');
  yield read;
}

function readRow(record: readonly string[], columns: Columns): { entry: AllowListEntry; fault: string | null } {
  const device_id = record[columns.deviceId] ?? '';
  const labels: Record<string, string> = {};
  let fault = faultOfDeviceId(device_id);
  for (const [column, name] of columns.labels) {
    const value = record[column] ?? '';
    if (value === '') continue;
    fault ??= faultOfLabel(name, value);
    labels[name] = value;
  }
  return { entry: { device_id, labels: columns.labels.length === 0 ? null : labels }, fault };
}

function labelColumns(heads: readonly string[], deviceId: number): Columns['labels'] {
  const labels = heads.flatMap((head, column) => {
    if (column === deviceId || head === '') return [];
    const name = labelNameOf(head);
    if (name !== null) return [[column, name] as const];
    throw new Problem('invalid_request', `The column ${JSON.stringify(head.slice(0, 80))} has no name for a label.`);
  });
  const names = new Set(labels.map(([, name]) => name));
  if (names.size < labels.length) throw new Problem('invalid_request', 'Two columns are the same label.');
  if (names.size > mostLabels) {
    throw new Problem('invalid_request', `The file has ${names.size} labels; a device may have ${mostLabels}.`);
  }
  return labels;
}

/** The text of a file, piece by piece. Throws `invalid_request` where it is no UTF-8. */
async function* inTurns(source: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    for await (const chunk of source) {
      for (let at = 0; at < chunk.length; at += bytesAtOnce) {
        yield decoder.decode(chunk.subarray(at, at + bytesAtOnce), { stream: true });
        await setImmediate();
      }
    }
    yield decoder.decode();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_ENCODING_INVALID_ENCODED_DATA') throw error;
    throw new Problem(
      'invalid_request',
      'The file is not UTF-8 text.',
      'Save it as UTF-8; a spreadsheet as CSV UTF-8.',
    );
  }
}

/** The text up to the end of the first line that counts. */
async function beginningOf(text: AsyncGenerator<string>): Promise<string> {
  let beginning = '';
  while (firstLineOf(beginning, { whole: true }) === undefined && beginning.length < longestBeginning) {
    const { value, done } = await text.next();
    if (done) break;
    beginning += value;
  }
  return beginning;
}

function firstLineOf(text: string, { whole }: { whole: boolean }): string | undefined {
  const lines = text.split(/[\r\n]+/);
  // What stands after the last line break may go on.
  return (whole ? lines.slice(0, -1) : lines).find((line) => !/^\s*(#|$)/.test(line));
}

function delimiterOf(beginning: string): string {
  const first = firstLineOf(beginning, { whole: false }) ?? '';
  return delimiters.find((candidate) => first.includes(candidate)) ?? ',';
}

async function* resumed(beginning: string, text: AsyncGenerator<string>): AsyncGenerator<string> {
  yield beginning;
  yield* text;
}
