// What people ask of a factory about its log, and about the certificates that it tells of.

import { Problem } from '../problem.ts';
import type { Plain } from '../registry/notes.ts';
import { formatInstant } from '../time.ts';
import { certificateToPem } from '../x509/certificate.ts';
import type { Evidence } from '../manifest/manifest.ts';
import { type Factory, readyLine } from './factory.ts';
import type { LogVerdict, SignedHead } from './log-verification.ts';
import { certificatesListed, certificatesOf, certificatesOfDevice } from './records/certificate-queries.ts';
import { entriesAbout, latestEntries } from './records/log.ts';
import { orderByName } from './records/orders.ts';
import { stationsOf } from './records/stations.ts';
import type { LogEntry, MadeCertificate } from './records/tables.ts';

/** An entry as people and `--json` are told of it. */
export interface EntryJson {
  readonly number: number;
  readonly at: string;
  readonly action: string;
  readonly by: { readonly kind: string; readonly name: string; readonly address: string | null };
  readonly object: { readonly kind: string; readonly id: string; readonly name: string | null };
  readonly before: { readonly [member: string]: Plain } | null;
  readonly after: { readonly [member: string]: Plain } | null;
  readonly result: string;
}

/** A certificate as people and `--json` are told of it. */
export interface CertificateJson {
  readonly device_id: string;
  readonly state: 'made' | 'withdrawn';
  readonly serial: string;
  readonly tbs_sha256: string;
  readonly public_key_sha256: string;
  readonly not_before: string;
  readonly not_after: string;
  readonly order: string;
  readonly batch: string | null;
  readonly window: string;
  readonly mandate: string;
  readonly station: string;
  readonly evidence: Evidence;
  readonly made_at: string;
  readonly withdrawn_at: string | null;
}

/** The same with who did it, and the certificate itself. */
export interface CertificateDetailJson extends CertificateJson {
  readonly made_by: EntryJson['by'] | null;
  readonly withdrawn_by: EntryJson['by'] | null;
  /** PEM of the certificate, and of the line's CA behind it. */
  readonly certificates: string;
}

function entryJson({ number, body }: LogEntry): EntryJson {
  return { number, ...(JSON.parse(body) as Omit<EntryJson, 'number'>) };
}

async function certificatesShown({ records }: Factory, rows: readonly MadeCertificate[]): Promise<CertificateJson[]> {
  const stations = new Map((await stationsOf(records.read)).map(({ id, name }) => [id, name]));
  const batches = new Map<string, string | null>();
  for (const name of new Set(rows.map(({ order_name }) => order_name))) {
    batches.set(name, (await orderByName(records.read, name))?.batch ?? null);
  }
  return rows.map((row) => ({
    device_id: row.device_id,
    state: row.state === 'withdrawn' ? 'withdrawn' : 'made',
    serial: row.serial,
    tbs_sha256: row.tbs_sha256,
    public_key_sha256: row.public_key_sha256,
    not_before: formatInstant(row.not_before),
    not_after: formatInstant(row.not_after),
    order: row.order_name,
    batch: batches.get(row.order_name) ?? null,
    window: row.window_id,
    mandate: row.mandate_id,
    station: stations.get(row.station_id) ?? '',
    evidence: JSON.parse(row.evidence) as Evidence,
    made_at: formatInstant(row.created_at),
    withdrawn_at: formatInstant(row.withdrawn_at),
  }));
}

/** By name. */
export const logActions = {
  /** The latest entries first; `object` is an ID, or the device ID of certificates. */
  async listLog(
    { records }: Factory,
    { action, object, limit }: { action: string | null; object: string | null; limit: number },
  ): Promise<EntryJson[]> {
    if (object === null) return (await latestEntries(records.read, { action, limit })).map(entryJson);
    const ofDevice = (await certificatesOfDevice(records.read, object)).map(({ tbs_sha256 }) => tbs_sha256);
    const entries = await entriesAbout(records.read, { objects: [object, ...ofDevice], action, limit });
    return entries.map(entryJson);
  },

  /** Not imported above: with its library of schemas, which hardly a command needs, it doubles what one takes to start. */
  async verifyLog(factory: Factory, asked: { heads: string }): Promise<LogVerdict> {
    const { verifyLog } = await import('./log-verification.ts');
    return verifyLog(factory, asked);
  },

  /** As above. */
  async signHead(factory: Factory, _: object): Promise<{ jws: string; head: SignedHead }> {
    const { signedHead } = await import('./log-verification.ts');
    return signedHead(factory);
  },

  /** Takes the clock as it is, though the log has seen a later time; gives that time. */
  acceptClock: async ({ records }: Factory, _: object): Promise<{ latest: string }> => ({
    latest: formatInstant(await records.write('acceptClock', {})),
  }),

  /** The latest first. */
  async listCertificates(
    factory: Factory,
    { order, withdrawn, limit }: { order: string | null; withdrawn: boolean; limit: number },
  ): Promise<CertificateJson[]> {
    const state = withdrawn ? 'withdrawn' : 'made';
    return certificatesShown(factory, await certificatesListed(factory.records.read, { order, state, limit }));
  },

  /** Those of a device, the latest first, or the one of this hash (SHA-256 of its TBSCertificate). */
  async showCertificates(factory: Factory, { id }: { id: string }): Promise<CertificateDetailJson[]> {
    const { records } = factory;
    const ofDevice = await certificatesOfDevice(records.read, id);
    const named = ofDevice.length > 0 ? ofDevice : [...(await certificatesOf(records.read, [id])).values()];
    const rows = named.filter(({ state }) => state !== 'intended');
    if (rows.length === 0) throw new Problem('not_found', `No certificate was made here for "${id}".`);
    const { ca } = await readyLine(factory);
    const objects = rows.map(({ tbs_sha256 }) => tbs_sha256);
    const entries = (await entriesAbout(records.read, { objects, action: null, limit: 2 * rows.length })).map(
      entryJson,
    );
    const by = (tbs_sha256: string, action: string) =>
      entries.find((entry) => entry.object.id === tbs_sha256 && entry.action === action)?.by ?? null;
    return (await certificatesShown(factory, rows)).map((shown, index) => ({
      ...shown,
      made_by: by(shown.tbs_sha256, 'certificate.make'),
      withdrawn_by: by(shown.tbs_sha256, 'certificate.withdraw'),
      certificates: certificateToPem(rows[index]!.der) + certificateToPem(ca.certificate.der),
    }));
  },
} as const;
