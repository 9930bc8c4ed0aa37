// The proof that a factory's log is whole, and that its records say what the log tells; and the head that is kept elsewhere.

import { setImmediate } from 'node:timers/promises';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { signStatement } from '../issuing/statement.ts';
import { verifyStatement } from '../manifest/jws.ts';
import { acceptAction } from '../manifest/line-clock.ts';
import type { CertificateNote } from '../manifest/manifest.ts';
import { Problem } from '../problem.ts';
import { ChainCheck } from '../registry/audit-chain.ts';
import { formatInstant } from '../time.ts';
import { CertificateError, parseCertificate } from '../x509/certificate.ts';
import { type Factory, readyLine } from './factory.ts';
import { certificatesOf } from './records/certificate-queries.ts';
import { logEntries, logHead, logId } from './records/log.ts';
import { miscountsOfWindows, unloggedCertificate } from './records/log-check.ts';
import { faultsOfMandates } from './records/mandate-check.ts';
import type { FactoryDb, LogEntry, MadeCertificate } from './records/tables.ts';

/** `typ` of a signed head. */
const headType = 'fleetroot-log-head-v1';
/** Entries that are read at once; enrolments get their turn in between. */
const atOnce = 500;

const HeadSchema = Type.Object(
  {
    log: Type.String({ pattern: '^[0-9a-f-]{36}$' }),
    /** SHA-256 of the public key of the line's CA. */
    line: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    number: Type.Integer({ minimum: 0 }),
    hash: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    at: Type.String({ minLength: 1, maxLength: 40 }),
  },
  { additionalProperties: false },
);

/** The end of the log as it is signed. */
export type SignedHead = Static<typeof HeadSchema>;

/** What was found of a log; `fault` is null where all fits. */
export interface LogVerdict {
  readonly log: string;
  /** The last entry that fits, which is the last there is where all fit. */
  readonly entries: number;
  readonly head_hash: string;
  /** Certificates that it tells of, and how many of them were withdrawn. */
  readonly made: number;
  readonly withdrawn: number;
  /** The last entry that a head confirms; 0 for none. */
  readonly confirmed_to: number;
  readonly fault: string | null;
}

/** Signs the head of the log by the line's key: a compact JWS. Throws Problem, CustodyProblem. */
export async function signedHead(factory: Factory): Promise<{ jws: string; head: SignedHead }> {
  const { records, keys, clock } = factory;
  const { ca, root } = await readyLine(factory);
  const { number, hash } = await logHead(records.read);
  const log = (await logId(records.read)) ?? '';
  const head = { log, line: ca.certificate.publicKey.sha256, number, hash, at: formatInstant(clock()) };
  const x5c = [ca.certificate, root].map(({ der }) => der.toString('base64'));
  return { jws: await signStatement(keys, ca.key, { typ: headType, x5c }, head), head };
}

/** Reads heads that were kept, one a line. Throws Problem('invalid_request'). */
async function readHeads(factory: Factory, text: string): Promise<SignedHead[]> {
  const lines = text.split(/\s+/).filter((line) => line !== '');
  if (lines.length === 0) return [];
  const { publicKey } = (await readyLine(factory)).ca.certificate;
  return Promise.all(
    lines.map(async (jws) => {
      const payload = await verifyStatement(jws, { key: publicKey, type: headType, what: 'The head' });
      if (Value.Check(HeadSchema, payload)) return payload;
      throw new Problem('invalid_request', 'The head does not say what a head says.');
    }),
  );
}

/**
 * Follows the log from its first entry, holds the heads against it that were kept elsewhere (JWS, one a line), and
 * compares every certificate, window and mandate with what the log tells. Throws Problem for heads that are none.
 */
export async function verifyLog(factory: Factory, { heads }: { heads: string }): Promise<LogVerdict> {
  const db = factory.records.read;
  const check = new ChainCheck((await logId(db)) ?? '', await readHeads(factory, heads));
  const counts = { 'certificate.make': 0, 'certificate.withdraw': 0 };
  let latest = 0;
  let fault = check.stranger?.sentence ?? null;
  while (fault === null) {
    const rows = await logEntries(db, { first: check.head.number + 1, limit: atOnce });
    if (rows.length === 0) break;
    const made = await certificatesOf(
      db,
      rows.filter(({ action }) => Object.hasOwn(counts, action)).map(({ object_id }) => object_id),
    );
    for (const row of rows) {
      latest = row.action === acceptAction ? row.at : Math.max(latest, row.at);
      fault = check.take(row)?.sentence ?? faultOfEntry(row, latest) ?? faultOfCertificate(row, made);
      if (fault !== null) break;
      if (Object.hasOwn(counts, row.action)) counts[row.action as keyof typeof counts] += 1;
    }
    await setImmediate();
  }
  fault ??= check.end()?.sentence ?? (await faultOfRecords(db));
  return {
    log: (await logId(db)) ?? '',
    entries: check.head.number,
    head_hash: check.head.hash,
    made: counts['certificate.make'],
    withdrawn: counts['certificate.withdraw'],
    confirmed_to: check.confirmed,
    fault,
  };
}

interface EntryBody {
  readonly at: string;
  readonly action: string;
  readonly object: { readonly kind: string; readonly id: string };
  readonly after: Partial<CertificateNote> | null;
}

/** What stands beside a body is there to be searched, and is not chained. */
function faultOfEntry({ number, at, action, object_kind, object_id, body, ...row }: LogEntry, latest: number) {
  const told = JSON.parse(body) as EntryBody;
  const same =
    told.at === formatInstant(at) &&
    told.action === action &&
    told.object.kind === object_kind &&
    told.object.id === object_id &&
    row.latest === latest;
  return same ? null : `Entry ${number} has been changed: what is beside its text is not what the text says.`;
}

function faultOfCertificate(
  { number, action, object_id, body }: LogEntry,
  records: ReadonlyMap<string, MadeCertificate>,
): string | null {
  if (action !== 'certificate.make') return null;
  const row = records.get(object_id);
  if (row === undefined || row.state === 'intended') {
    return `Entry ${number} tells of the certificate ${object_id}, which has no record.`;
  }
  const { after } = JSON.parse(body) as EntryBody;
  const pairs = [
    ['device ID', row.device_id, after?.device_id],
    ['public key', row.public_key_sha256, after?.public_key_sha256],
    ['serial number', row.serial, after?.serial],
    ['order', row.order_name, after?.order],
    ['mandate', row.mandate_id, after?.mandate],
    ['evidence', row.evidence, JSON.stringify(after?.evidence)],
    ['certificate', tbsOf(row.der), after?.tbs_sha256],
  ] as const;
  const [what] = pairs.find(([, is, was]) => is !== was) ?? [];
  if (what === undefined) return null;
  return `The record of the certificate of "${row.device_id}" was changed: its ${what} is not what entry ${number} tells.`;
}

function tbsOf(der: Uint8Array): string | null {
  try {
    return parseCertificate(der).tbsSha256;
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    return null;
  }
}

async function faultOfRecords(db: FactoryDb): Promise<string | null> {
  const unlogged = await unloggedCertificate(db);
  if (unlogged) {
    const { device_id, tbs_sha256, state } = unlogged;
    return `The record says that the certificate ${tbs_sha256} of "${device_id}" is ${state}, and the log does not.`;
  }
  const [wrong] = await miscountsOfWindows(db);
  if (wrong !== undefined) {
    const { id, used, charged } = wrong;
    return `The record of the window ${id} was changed: ${used} of it are used there, and ${charged} certificates are charged to it.`;
  }
  return (await faultsOfMandates(db))[0]?.fault ?? null;
}
