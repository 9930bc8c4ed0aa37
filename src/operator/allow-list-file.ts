// The file of device IDs that an allow-list is imported from: text, one ID a line, or CSV.

import { isUtf8 } from 'node:buffer';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { CsvError, parse } from 'csv-parse';
import { Problem } from '../problem.ts';
import { faultOfDeviceId } from '../provisioning/device-id.ts';
import type { Account } from '../registry/tables.ts';
import type { Registry } from '../registry/writer.ts';

const delimiters = [',', ';', '\t'];
const header = /^device[ _-]?id$/i;
/** So many bytes are read before other requests get their turn. */
const bytesAtOnce = 16_384;
/** The writer does nothing else while it imports; so many IDs go to it at once. */
const idsAtOnce = 10_000;
const lineRules = {
  record_delimiter: ['\r\n', '\n', '\r'],
  skip_empty_lines: true,
  comment: '#',
  comment_no_infix: true,
};
const lenient = { bom: true, relax_column_count: true, relax_quotes: true, trim: true };

/**
 * Adds the device IDs of a file to the allow-list of an account, and counts those that had been there. Throws as
 * `readAllowListFile` does.
 */
export async function importAllowListFile(
  registry: Registry,
  account: Account,
  file: Buffer,
): Promise<{ added: number; already: number }> {
  const deviceIds = await readAllowListFile(file);
  let added = 0;
  for (let at = 0; at < deviceIds.length; at += idsAtOnce) {
    const device_ids = deviceIds.slice(at, at + idsAtOnce);
    added += (await registry.write('importAllowList', { account_id: account.id, device_ids })).added;
  }
  return { added, already: deviceIds.length - added };
}

/**
 * Reads the device IDs. The first line says how: its delimiter is the file's, and where it has a column `device_id`, that
 * column counts, else the first. An ID that holds a delimiter, white space at an end or `#` at its beginning, which makes
 * a comment, stands in double quotes.
 * Throws `invalid_request` with the line of the first fault; then nothing is to be imported.
 */
export async function readAllowListFile(file: Buffer): Promise<string[]> {
  if (!isUtf8(file)) {
    throw new Problem(
      'invalid_request',
      'The file is not UTF-8 text.',
      'Save it as UTF-8; a spreadsheet as CSV UTF-8.',
    );
  }
  const parser = parse({ ...lineRules, ...lenient, delimiter: delimiterOf(file), info: true });
  const rows: AsyncIterable<{ record: string[]; info: { lines: number } }> = Readable.from(inTurns(file)).compose(
    parser,
  );
  const deviceIds: string[] = [];
  let column: number | null = null;
  try {
    for await (const { record, info } of rows) {
      if (column === null) {
        const named = record.findIndex((field) => header.test(field));
        column = Math.max(named, 0);
        if (named !== -1) continue;
      }
      const deviceId = record[column] ?? '';
      const fault = faultOfDeviceId(deviceId);
      if (fault) throw new Problem('invalid_request', `Line ${info.lines}: ${fault}`, 'Nothing was imported.');
      deviceIds.push(deviceId);
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new Problem('invalid_request', `The file is no CSV: ${error.message}.`, 'Nothing was imported.');
  }
  if (deviceIds.length === 0) throw new Problem('invalid_request', 'There is no device ID in the file.');
  return deviceIds;
}

function delimiterOf(file: Buffer): string {
  const lines = file.toString('utf8', 0, bytesAtOnce).split(/[\r\n]+/);
  const first = lines.find((line) => !/^\s*(#|$)/.test(line)) ?? '';
  return delimiters.find((candidate) => first.includes(candidate)) ?? ',';
}

async function* inTurns(file: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < file.length; at += bytesAtOnce) {
    yield file.subarray(at, at + bytesAtOnce);
    await setImmediate();
  }
}
