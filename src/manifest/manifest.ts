// The manifest of a line: a range of its log, in which every certificate stands that it made or withdrew.

import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';

import { Problem } from '../problem.ts';
import { hashOfEntry } from '../registry/audit-chain.ts';
import { parseInstant } from '../time.ts';
import type { PublicKey } from '../x509/key.ts';
import { verifyStatement } from './jws.ts';
import { acceptAction, clockTolerance } from './line-clock.ts';

/** `typ` of a manifest. */
export const manifestType = 'fleetroot-manifest-v1';

/** Log entries in one manifest at the most; a file has one manifest a line. */
export const mostEntries = 2_000;
/** The longest manifest, in characters. */
export const longestManifest = 4 * 1024 * 1024;

const text = (longest: number) => Type.String({ minLength: 1, maxLength: longest });
const sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });
const nullable = <T extends ReturnType<typeof text>>(schema: T) => Type.Union([schema, Type.Null()]);
const number = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });

/** What is signed. Every entry stands whole: of one that stood by its digest nobody could say that it makes no certificate. */
export const ManifestSchema = Type.Object(
  {
    /** The log's ID, a UUID: a log that was begun anew is another one. */
    log: Type.String({ pattern: '^[0-9a-f-]{36}$' }),
    /** SHA-256 of the public key of the line's CA. */
    line: sha256,
    name: text(64),
    site: nullable(text(64)),
    /** RFC 3339, in UTC. */
    made_at: text(40),
    /** The entries that it covers, all of them; its own number is that of the last. */
    first: number,
    last: number,
    /** The hash of the entry before the first (registry/audit-chain.ts), and that of the last. */
    previous_hash: sha256,
    head_hash: sha256,
    entries: Type.Array(Type.Object({ body: text(64 * 1024) }, { additionalProperties: false }), {
      minItems: 1,
      maxItems: mostEntries,
    }),
    /** All mandates that the line has, as they were signed. */
    mandates: Type.Array(text(16 * 1024), { maxItems: 1_000 }),
  },
  { additionalProperties: false },
);

export type ManifestPayload = Static<typeof ManifestSchema>;

/** The actions of a line's log that concern a certificate. */
export const certificateActions = ['certificate.make', 'certificate.withdraw'] as const;

/** What proved where a key lies: that a station asked, or that a TPM answered. Nothing else claims anything. */
const EvidenceSchema = Type.Union([
  Type.Object({ kind: Type.Literal('station') }, { additionalProperties: false }),
  Type.Object(
    {
      kind: Type.Literal('tpm'),
      /** SHA-256 of the endorsement key (SubjectPublicKeyInfo), and of its certificate's TBSCertificate. */
      ek_sha256: sha256,
      ek_certificate_tbs_sha256: sha256,
      /** The Name of the device key, hex (TPM 2.0 Part 1 §16). */
      name: Type.String({ pattern: '^000b[0-9a-f]{64}$' }),
    },
    { additionalProperties: false },
  ),
]);

export type Evidence = Static<typeof EvidenceSchema>;

/** What is noted of a certificate (`after` of its entry). */
export const CertificateNoteSchema = Type.Object(
  {
    device_id: text(64),
    tbs_sha256: sha256,
    public_key_sha256: sha256,
    serial: Type.String({ pattern: '^[0-9a-f]{16,40}$' }),
    not_after: text(40),
    order: text(64),
    batch: nullable(text(64)),
    station: text(64),
    evidence: EvidenceSchema,
    /** The mandate that it is charged to. */
    mandate: Type.String({ pattern: '^[0-9a-f-]{36}$' }),
  },
  { additionalProperties: false },
);

export type CertificateNote = Static<typeof CertificateNoteSchema>;

/** What every entry says. */
const EntrySchema = Type.Object({ at: text(40), action: text(200) });

const CertificateEntrySchema = Type.Object({
  at: text(40),
  action: Type.Union(certificateActions.map((action) => Type.Literal(action))),
  after: CertificateNoteSchema,
});

/** A certificate that was made or withdrawn. `at` is ms since 1970, `number` the entry's. */
export interface CertificateEntry extends CertificateNote {
  readonly number: number;
  readonly action: (typeof certificateActions)[number];
  readonly at: number;
  /** The latest time that the manifest tells of up to this entry: it was not made before that, whatever it says. */
  readonly latest: number;
}

/** A manifest, read and verified; times are ms since 1970. */
export interface Manifest extends Omit<ManifestPayload, 'made_at' | 'entries'> {
  readonly madeAt: number;
  /** In the order of their numbers. */
  readonly certificates: readonly CertificateEntry[];
  /** The hash of every entry that it covers, the first one's first. */
  readonly hashes: readonly string[];
}

const malformed = (message: string): Problem => new Problem('invalid_request', `The manifest ${message}`);

/**
 * Reads a manifest that the key of a line's CA has signed, and follows its chain. What it says of the line itself is held
 * against that key; whether it continues what is known, the caller asks. Throws Problem('invalid_request').
 */
export async function readManifest(jws: string, line: PublicKey): Promise<Manifest> {
  if (jws.length > longestManifest) throw malformed(`is longer than ${longestManifest} characters.`);
  const payload = await verifyStatement(jws, { key: line, type: manifestType, what: 'The manifest' });
  if (!Value.Check(ManifestSchema, payload)) throw malformed('does not say what a manifest says.');
  if (payload.line !== line.sha256) throw malformed('is of another line than the one whose key has signed it.');
  const { made_at, entries, ...rest } = payload;
  const madeAt = parseInstant(made_at);
  if (madeAt === null) throw malformed('names a time that is none.');
  if (entries.length !== rest.last - rest.first + 1) {
    throw malformed(`says that it covers the entries ${rest.first} to ${rest.last}, and has ${entries.length}.`);
  }
  const certificates: CertificateEntry[] = [];
  const hashes: string[] = [];
  let hash = rest.previous_hash;
  let latest = 0;
  // Since a person last took the clock as it was.
  let latestOfClock = 0;
  let last = 0;
  for (const [index, { body }] of entries.entries()) {
    const number = rest.first + index;
    hash = hashOfEntry(hash, number, body);
    hashes.push(hash);
    const { at, action, certificate } = readEntry(body, number);
    // A line certifies nothing by a clock that went back; of what else its people do it notes the time, whatever that is.
    if (action === 'certificate.make' && at < latestOfClock - clockTolerance) {
      throw malformed(`has an entry ${number} that makes a certificate before the time of an entry before it.`);
    }
    latest = Math.max(latest, at);
    latestOfClock = action === acceptAction ? at : Math.max(latestOfClock, at);
    last = at;
    if (certificate) certificates.push({ ...certificate, number, at, latest });
  }
  if (hash !== rest.head_hash) throw malformed('has an entry that does not follow the one before it.');
  if (madeAt < last - clockTolerance) throw malformed('says that it was made before its last entry.');
  return { ...rest, madeAt, certificates, hashes };
}

interface ReadEntry {
  readonly at: number;
  readonly action: string;
  /** Null where it is of none. */
  readonly certificate: (CertificateNote & Pick<CertificateEntry, 'action'>) | null;
}

function readEntry(body: string, number: number): ReadEntry {
  let entry: unknown;
  try {
    entry = JSON.parse(body);
  } catch {
    throw malformed(`has an entry ${number} that is no JSON.`);
  }
  if (!Value.Check(EntrySchema, entry)) throw malformed(`has an entry ${number} that does not say what an entry says.`);
  const at = parseInstant(entry.at);
  if (at === null) throw malformed(`has an entry ${number} of a time that is none.`);
  const { action } = entry;
  if (!(certificateActions as readonly string[]).includes(action)) return { at, action, certificate: null };
  if (!Value.Check(CertificateEntrySchema, entry)) {
    throw malformed(`has an entry ${number} that says nothing of a certificate.`);
  }
  return { at, action, certificate: { ...entry.after, action: entry.action } };
}
