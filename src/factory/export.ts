// The account that a line gives of its certificates: manifests over its log, signed by the key of its CA.

import { signStatement } from '../issuing/statement.ts';
import {
  certificateActions,
  longestManifest,
  type ManifestPayload,
  manifestType,
  mostEntries,
} from '../manifest/manifest.ts';
import { Problem } from '../problem.ts';
import { formatInstant } from '../time.ts';
import { type Factory, readyLine } from './factory.ts';
import { fact } from './records/facts.ts';
import { mandatesOf } from './records/lines.ts';
import { logEntries, logHead, logId } from './records/log.ts';
import type { LogEntry } from './records/tables.ts';

const exportedKey = 'exported';

/** Mandates in one manifest at the most. */
const mostMandates = 1_000;
/** Octets of JSON in one manifest: as Base64 with the header and the signature it has to fit. */
const mostText = (longestManifest / 4) * 3 - 64 * 1024;

/** Which entries are exported: all after `since`, up to `last`. */
export interface ExportRange {
  readonly since: number;
  readonly last: number;
}

/** One manifest as it goes to a file. */
export interface ExportedManifest {
  readonly jws: string;
  readonly last: number;
  readonly made: number;
  readonly withdrawn: number;
}

/**
 * Begins an export after the entry `since`, or after the last one exported where that is null. The log notes it, so that
 * there is always an entry that says until when nothing else was made. Throws Problem('invalid_request') for a number that
 * the log has not come to, `unavailable` where the line has no CA yet.
 */
export async function beginExport(factory: Factory, { since }: { since: number | null }): Promise<ExportRange> {
  const { records } = factory;
  await readyLine(factory);
  const from = since ?? Number(Buffer.from((await fact(records.read, exportedKey)) ?? '0').toString());
  const { number } = await logHead(records.read);
  if (from > number) {
    throw new Problem(
      'invalid_request',
      `The log ends with entry ${number}: there is none after ${from}.`,
      'Was the directory restored from a back-up? Then its line has forgotten certificates that it made.',
    );
  }
  await records.write('noteExport', { since: from });
  return { since: from, last: (await logHead(records.read)).number };
}

/** Makes the manifest of the entries from `first` on, as many as one holds and none after `last`. */
export async function makeManifest(
  factory: Factory,
  { first, last }: { first: number; last: number },
): Promise<ExportedManifest> {
  const { records, keys } = factory;
  const { line, ca, root } = await readyLine(factory);
  const log = await logId(records.read);
  if (log === null) throw new TypeError('a log without an ID');
  const rows = await logEntries(records.read, { first, limit: Math.min(mostEntries, last - first + 1) });
  const named = new Set(rows.flatMap((row) => (isOfCertificate(row) ? mandateOf(row) : [])));
  // Those that are charged here come first, of the others those that last longest.
  const mandates = (await mandatesOf(records.read))
    .toReversed()
    .toSorted((one, other) => Number(named.has(other.id)) - Number(named.has(one.id)))
    .slice(0, mostMandates)
    .map(({ jws }) => jws);
  const entries = fitting(rows, mostText - Buffer.byteLength(JSON.stringify(mandates)));
  const end = rows[entries.length - 1];
  if (end === undefined) throw new Problem('invalid_request', `The log has no entry ${first}.`);
  const payload = {
    log,
    line: ca.certificate.publicKey.sha256,
    name: line.name,
    site: line.site,
    made_at: formatInstant(end.at),
    first,
    last: end.number,
    previous_hash: rows[0]!.previous_hash,
    head_hash: end.hash,
    entries,
    mandates,
  } satisfies ManifestPayload;
  const x5c = [ca.certificate, root].map(({ der }) => der.toString('base64'));
  const jws = await signStatement(keys, ca.key, { typ: manifestType, x5c }, payload);
  const count = (action: string) => rows.slice(0, entries.length).filter((row) => row.action === action).length;
  return { jws, last: end.number, made: count('certificate.make'), withdrawn: count('certificate.withdraw') };
}

function isOfCertificate({ action }: LogEntry): boolean {
  return (certificateActions as readonly string[]).includes(action);
}

function mandateOf({ body }: LogEntry): string {
  return (JSON.parse(body) as { after: { mandate: string } }).after.mandate;
}

/** As many entries as have room, at least one, each of them whole. */
function fitting(rows: readonly LogEntry[], room: number): ManifestPayload['entries'] {
  const entries: ManifestPayload['entries'] = [];
  let left = room;
  for (const row of rows) {
    const entry = { body: row.body };
    left -= Buffer.byteLength(JSON.stringify(entry)) + 1;
    if (left < 0 && entries.length > 0) break;
    entries.push(entry);
  }
  return entries;
}

/** Remembers, once the file is written, after which entry the next export begins. */
export async function endExport({ records }: Factory, { last }: Pick<ExportRange, 'last'>): Promise<void> {
  await records.write('rememberFact', { key: exportedKey, value: new Uint8Array(Buffer.from(String(last))) });
}
