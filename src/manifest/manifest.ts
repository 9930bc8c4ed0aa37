// The manifest of a line: a range of its log, in which every certificate stands that it made or withdrew.

import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';

import { Problem } from '../problem.ts';
import { digestOfBody, hashOfDigest } from '../registry/audit-chain.ts';
import { parseInstant } from '../time.ts';
import type { PublicKey } from '../x509/key.ts';
import { verifyStatement } from './jws.ts';

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

/** What is signed. Entries that are of no certificate stand with their digest alone: whom they concern is the line's affair. */
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
    entries: Type.Array(
      Type.Union([
        Type.Object({ body: text(64 * 1024) }, { additionalProperties: false }),
        Type.Object({ body_sha256: sha256 }, { additionalProperties: false }),
      ]),
      { minItems: 1, maxItems: mostEntries },
    ),
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

const EntrySchema = Type.Object({
  at: text(40),
  action: Type.Union(certificateActions.map((action) => Type.Literal(action))),
  after: CertificateNoteSchema,
});

/** A certificate that was made or withdrawn. `at` is ms since 1970, `number` the entry's. */
export interface CertificateEntry extends CertificateNote {
  readonly number: number;
  readonly action: (typeof certificateActions)[number];
  readonly at: number;
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
  for (const [index, entry] of entries.entries()) {
    const at = rest.first + index;
    hash = hashOfDigest(hash, at, 'body' in entry ? digestOfBody(entry.body) : entry.body_sha256);
    hashes.push(hash);
    if ('body' in entry) certificates.push(readEntry(entry.body, at));
  }
  if (hash !== rest.head_hash) throw malformed('has an entry that does not follow the one before it.');
  return { ...rest, madeAt, certificates, hashes };
}

function readEntry(body: string, number: number): CertificateEntry {
  let entry: unknown;
  try {
    entry = JSON.parse(body);
  } catch {
    throw malformed(`has an entry ${number} that is no JSON.`);
  }
  if (!Value.Check(EntrySchema, entry)) throw malformed(`has an entry ${number} that says nothing of a certificate.`);
  const at = parseInstant(entry.at);
  if (at === null) throw malformed(`has an entry ${number} of a time that is none.`);
  return { ...entry.after, number, action: entry.action, at };
}
