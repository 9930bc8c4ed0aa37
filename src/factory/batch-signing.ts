// A batch from its file to the file that answers it: whose it is, one certificate or one sentence for each request, a report.

import { createHash, createPublicKey, createVerify, type Verify } from 'node:crypto';
import { basename, join } from 'node:path';
import { Problem } from '../problem.ts';
import type { BatchAnswer, BatchStation } from './batch.ts';
import { type Batch, type BatchEntry, openBatch } from './archive.ts';
import { BatchNames, isHidden } from './batch-names.ts';
import { type OutputFile, Spool, writeOutput } from './batch-output.ts';
import type { AtFactory } from './control.ts';
import type { BatchCounts } from './records/batches.ts';

/** What is asked. */
export interface BatchAsked {
  /** Of the archive or directory of requests. */
  readonly path: string;
  /** Of what answers them. */
  readonly output: string;
  /** Null where the one open window says it. */
  readonly order: string | null;
  /** Whose batch it is; null where its signature says it, or there is but one. */
  readonly station: string | null;
  /** The station's, over the archive's octets; null where the person who asks says whose it is. */
  readonly signature: Buffer | null;
}

/** What came of it. */
export interface BatchResult extends BatchCounts {
  readonly batch: string;
  readonly station: string;
  readonly order: string | null;
  readonly signed: boolean;
  /** SHA-256 of the archive; null for a directory. */
  readonly sha256: string | null;
  /** Files that are no requests by their names. */
  readonly passed_over: number;
  /** The first sentences of those that were refused; all of them are in the report. */
  readonly refusals: readonly { readonly name: string; readonly sentence: string }[];
}

/** A line of the report: members that an entry has none of are null. */
interface ReportLine {
  readonly name: string;
  readonly device_id: string | null;
  readonly outcome: BatchAnswer['outcome'] | 'passed_over';
  readonly code: string | null;
  readonly sentence: string | null;
  readonly hint: string | null;
  /** The name of the file with its certificate. */
  readonly certificate: string | null;
  readonly tbs_sha256: string | null;
}

const columns = ['name', 'device_id', 'outcome', 'code', 'sentence', 'hint', 'certificate', 'tbs_sha256'] as const;
const reports = { csv: 'report.csv', json: 'report.json' } as const;

/** Requests that the factory is asked for at a time, and their octets at the most. */
const portion = { requests: 512, octets: 8 * 1024 * 1024 };
/** Refusals that are told beside the report. */
const toldRefusals = 20;

/**
 * Answers every request of a batch, and writes the answers. The whole of it is read before anything is made. Repeated
 * after an interruption it gives the certificates that it has made, and makes the others. Throws Problem, and what the
 * system throws.
 */
export async function signBatchFile(at: AtFactory, asked: BatchAsked): Promise<BatchResult> {
  await using batch = await openBatch(asked.path);
  const candidates = await at('batchStations', { station: asked.station });
  const { station, sha256 } = await stationOf(batch, asked, candidates);
  for await (const _ of batch.entries());
  const { order } = asked;
  const name = basename(asked.path);
  const signed = asked.signature !== null;
  const counts = { issued: 0, same: 0, refused: 0, passed_over: 0 };
  const refusals: { name: string; sentence: string }[] = [];
  let id = '';
  await writeOutput(asked.output, async function* (spools) {
    id = await at('beginBatch', { name, sha256, station, order, signed });
    const report = new Report(spools);
    for await (const { line, file } of answersTo(batch, (requests) => at('signBatch', { station, order, requests }))) {
      counts[line.outcome] += 1;
      if (line.outcome === 'refused' && refusals.length < toldRefusals) {
        refusals.push({ name: line.name, sentence: line.sentence! });
      }
      await report.add(line);
      if (file) yield file;
    }
    yield* await report.end();
  });
  const { passed_over, ...answered } = counts;
  await at('endBatch', { id, name, ...answered });
  return { batch: id, station, order, signed, sha256, ...answered, passed_over, refusals };
}

/** Whose batch it is. Throws Problem. */
async function stationOf(
  { octets }: Batch,
  { station, signature }: BatchAsked,
  candidates: readonly BatchStation[],
): Promise<{ station: string; sha256: string | null }> {
  if (octets === null && signature !== null) {
    throw new Problem('invalid_request', 'A signature is one of an archive, and not of a directory.');
  }
  const digest = createHash('sha256');
  const verifiers = signature === null ? [] : candidates.flatMap(verifierOf);
  for await (const piece of octets?.() ?? []) {
    digest.update(piece);
    for (const { verify } of verifiers) verify.update(piece);
  }
  const sha256 = octets === null ? null : digest.digest('hex');
  if (signature === null) {
    const [only, other] = candidates;
    if (other === undefined) return { station: only!.name, sha256 };
    throw new Problem(
      'invalid_request',
      'The batch is not signed, and there are several stations.',
      'Add --station S.',
    );
  }
  const signer = verifiers.find(({ key, verify }) => isSignedBy(verify, key, signature));
  if (signer) return { station: signer.name, sha256 };
  throw new Problem(
    'station_unknown',
    station === null
      ? 'The signature is not that of a station over this archive.'
      : `The signature is not that of the station "${station}" over this archive.`,
    'The station makes it so: openssl dgst -sha256 -sign station.key -out requests.sig requests.tgz',
  );
}

interface Verifier {
  readonly name: string;
  readonly key: ReturnType<typeof createPublicKey>;
  readonly verify: Verify;
}

function verifierOf({ name, public_key }: BatchStation): Verifier[] {
  if (public_key === null) return [];
  const key = createPublicKey({ key: Buffer.from(public_key, 'base64'), format: 'der', type: 'spki' });
  return key.asymmetricKeyType === 'ec' || key.asymmetricKeyType === 'rsa'
    ? [{ name, key, verify: createVerify('sha256') }]
    : [];
}

function isSignedBy(verify: Verify, key: Verifier['key'], signature: Buffer): boolean {
  try {
    return verify.verify(key, signature);
  } catch {
    // OpenSSL throws at some malformed signatures instead of finding them wrong.
    return false;
  }
}

/** What became of one entry. */
interface Answered {
  readonly line: ReportLine;
  readonly file: OutputFile | null;
}

/** Asks for portion after portion, and gives the answers in the order of the entries. */
async function* answersTo(batch: Batch, ask: (requests: string[]) => Promise<BatchAnswer[]>): AsyncGenerator<Answered> {
  const names = new BatchNames(Object.values(reports));
  let waiting: Considered[] = [];
  let octets = 0;
  const settle = async () => {
    const requests = waiting.flatMap(({ request }) => request ?? []);
    const answers = requests.length === 0 ? [] : await asked(() => ask(requests));
    const settled = waiting.map((each) => (each.request === null ? each.answered : answered(each, answers.shift()!)));
    waiting = [];
    octets = 0;
    return settled;
  };
  for await (const entry of batch.entries()) {
    waiting.push(consider(entry, names));
    octets += entry.content?.length ?? 0;
    if (waiting.length >= portion.requests || octets >= portion.octets) yield* await settle();
  }
  yield* await settle();
}

/** An entry that is asked for, or that needs no asking. */
type Considered =
  | { readonly request: string; readonly name: string; readonly certificate: string }
  | { readonly request: null; readonly answered: Answered };

function consider({ name, content, fault }: BatchEntry, names: BatchNames): Considered {
  if (isHidden(name)) return without(name, 'passed_over', 'What begins with a dot is no request.');
  const named = fault === null ? names.of(name) : { file: null, fault };
  if (named.fault !== null) return without(name, 'refused', named.fault);
  return { request: content!.toString('base64'), name, certificate: named.file };
}

function without(name: string, outcome: 'refused' | 'passed_over', sentence: string): Considered {
  const code = outcome === 'refused' ? 'invalid_request' : null;
  const line = { name, device_id: null, outcome, code, sentence, hint: null, certificate: null, tbs_sha256: null };
  return { request: null, answered: { line, file: null } };
}

function answered({ name, certificate }: { name: string; certificate: string }, answer: BatchAnswer): Answered {
  const { outcome, device_id } = answer;
  if (answer.outcome === 'refused') {
    const { code, sentence, hint } = answer;
    return {
      line: { name, device_id, outcome, code, sentence, hint, certificate: null, tbs_sha256: null },
      file: null,
    };
  }
  const { tbs_sha256, certificates } = answer;
  const line = { name, device_id, outcome, code: null, sentence: null, hint: null, certificate, tbs_sha256 };
  return { line, file: { name: certificate, content: Buffer.from(certificates) } };
}

/** What stops a batch says that it may be repeated. */
async function asked<T>(ask: () => Promise<T>): Promise<T> {
  const again = 'Repeat the command: what has been made is given again, and nothing is made twice.';
  try {
    return await ask();
  } catch (error) {
    if (error instanceof Problem) throw new Problem(error.code, error.message, again, { cause: error });
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!['ECONNRESET', 'ECONNREFUSED', 'ENOENT', 'EPIPE'].includes(code)) throw error;
    throw new Problem('unavailable', 'The service has ended before the batch was answered.', again, { cause: error });
  }
}

/** The report, as CSV for people and as JSON for programs. */
class Report {
  readonly #csv: Spool;
  readonly #json: Spool;
  #lines = 0;

  constructor(dir: string) {
    this.#csv = new Spool(join(dir, reports.csv));
    this.#json = new Spool(join(dir, reports.json));
  }

  async add(line: ReportLine): Promise<void> {
    if (this.#lines === 0) await this.#csv.write(csvLine(columns));
    await this.#csv.write(csvLine(columns.map((column) => line[column] ?? '')));
    await this.#json.write(`${this.#lines === 0 ? '[\n' : ',\n'}${JSON.stringify(line)}`);
    this.#lines += 1;
  }

  /** Both of them. */
  async end(): Promise<OutputFile[]> {
    if (this.#lines === 0) await this.#csv.write(csvLine(columns));
    await this.#json.write(this.#lines === 0 ? '[]\n' : '\n]\n');
    await this.#csv.end();
    await this.#json.end();
    return [
      { name: reports.csv, content: this.#csv },
      { name: reports.json, content: this.#json },
    ];
  }
}

/** A line of RFC 4180; strangers chose the names, so that what a spreadsheet would take for a formula gets a quote. */
function csvLine(fields: readonly string[]): string {
  return `${fields.map(csvField).join(',')}\r\n`;
}

function csvField(value: string): string {
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
