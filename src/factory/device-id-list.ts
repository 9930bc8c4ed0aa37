// The list of an order's device IDs as people bring it: text, one ID a line, or CSV with a column for them.

import { CsvError, parse } from 'csv-parse/sync';
import { Problem } from '../problem.ts';
import { faultOfDeviceId } from '../provisioning/device-id.ts';

const delimiters = [',', ';', '\t'];
const header = /^device[ _-]?id$/i;
/** Lines that are wrong and named, at the most. */
const mostNamed = 20;

interface Row {
  readonly record: string[];
  readonly info: { readonly lines: number };
}

/**
 * Reads such a file whole, as `allow-list import` reads one: the first line says how, by its delimiter and by a column
 * `device_id`, else the first column counts; lines that are empty or begin with # are passed over. Throws
 * Problem('invalid_request') that names each line with what is no device ID, or one that stands on an earlier line.
 */
export function readDeviceIdList(bytes: Uint8Array): string[] {
  const rows = rowsOf(textOf(bytes));
  const named = rows[0]?.record.findIndex((field) => header.test(field)) ?? -1;
  const lineOf = new Map<string, number>();
  const faults: string[] = [];
  for (const { record, info } of named === -1 ? rows : rows.slice(1)) {
    const deviceId = record[Math.max(named, 0)] ?? '';
    const before = lineOf.get(deviceId);
    const fault =
      faultOfDeviceId(deviceId) ??
      (before === undefined ? null : `The device ID ${JSON.stringify(deviceId)} stands on line ${before} already.`);
    if (fault === null) lineOf.set(deviceId, info.lines);
    else faults.push(`line ${info.lines}: ${fault}`);
  }
  if (faults.length > 0) throw wrong(faults);
  if (lineOf.size === 0) throw new Problem('invalid_request', 'There is no device ID in the file.');
  return [...lineOf.keys()];
}

function wrong(faults: readonly string[]): Problem {
  const more = faults.length > mostNamed ? [`${faults.length - mostNamed} line(s) more are wrong.`] : [];
  return new Problem(
    'invalid_request',
    `Nothing was imported: ${faults.length} line(s) of the file are wrong.`,
    [...faults.slice(0, mostNamed), ...more].join('\n'),
  );
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Problem(
      'invalid_request',
      'The file is not UTF-8 text.',
      'Save it as UTF-8; a spreadsheet as CSV UTF-8.',
    );
  }
}

function rowsOf(text: string): Row[] {
  const first = /^(?!\s*(?:#|$)).*$/m.exec(text)?.[0] ?? '';
  try {
    return parse(text, {
      delimiter: delimiters.find((candidate) => first.includes(candidate)) ?? ',',
      record_delimiter: ['\r\n', '\n', '\r'],
      skip_empty_lines: true,
      comment: '#',
      comment_no_infix: true,
      relax_column_count: true,
      relax_quotes: true,
      trim: true,
      info: true,
    }) as unknown as Row[];
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new Problem('invalid_request', `The file is no CSV: ${error.message}.`);
  }
}
