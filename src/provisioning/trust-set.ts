// The document that an owner signs: whom an account trusts, written in one way only, for a person to read first.

import { isAscii } from 'node:buffer';
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { Problem } from '../problem.ts';
import { formatInstant } from '../time.ts';
import { type Certificate, CertificateError, certificateToPem, parseCertificates } from '../x509/certificate.ts';

const closed = { additionalProperties: false } as const;
const text = Type.String({ minLength: 1, maxLength: 256 });
const sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });
const number = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const instant = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{3})?Z$' });
const certificate = Type.Object(
  {
    subject: Type.String({ maxLength: 64 * 1024 }),
    not_after: instant,
    sha256,
    certificate: Type.String({ maxLength: 128 * 1024 }),
  },
  closed,
);

/** What an operator narrowed, as a document that lifts it and a node's file name it. */
export const NarrowingSchema = Type.Object(
  {
    id: text,
    kind: Type.Enum(['close', 'disable', 'distrust']),
    fleet_root_ca: Type.Unsafe<string | null>({ type: ['string', 'null'], maxLength: 256 }),
    public_key_sha256: sha256,
    set: number,
    at: instant,
  },
  closed,
);

const TrustSetSchema = Type.Object(
  {
    format: Type.Literal('fleetroot-trust-set'),
    version: Type.Literal(1),
    account: Type.Object({ id: text, name: text }, closed),
    number: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    drawn_at: instant,
    previous_sha256: Type.Unsafe<string | null>({ type: ['string', 'null'], pattern: '^[0-9a-f]{64}$' }),
    fleet_root_cas: Type.Array(
      Type.Object(
        {
          id: text,
          name: text,
          state: Type.Enum(['active', 'closed', 'disabled']),
          certificates: Type.Array(certificate, { minItems: 1, maxItems: 100 }),
        },
        closed,
      ),
      { maxItems: 1000 },
    ),
    distrusted_keys: Type.Array(Type.Object({ public_key_sha256: sha256, ...certificate.properties }, closed), {
      maxItems: 1000,
    }),
    lifts: Type.Array(NarrowingSchema, { maxItems: 1000 }),
  },
  closed,
);

type Written = Static<typeof TrustSetSchema>;
export type NarrowingRecord = Static<typeof NarrowingSchema>;

/** A Fleet Root CA in a set, with its own certificates, which all have its key. */
export interface SignedRoot {
  readonly id: string;
  readonly name: string;
  readonly state: 'active' | 'closed' | 'disabled';
  readonly certificates: readonly Certificate[];
}

/** What an owner signs. */
export interface TrustSet {
  readonly account: { readonly id: string; readonly name: string };
  /** From 1 on, without a gap. */
  readonly number: number;
  /** RFC 3339. */
  readonly drawn_at: string;
  /** SHA-256 (hex) of the document before; null for the first. */
  readonly previous_sha256: string | null;
  readonly fleet_root_cas: readonly SignedRoot[];
  /** A certificate of each key. */
  readonly distrusted_keys: readonly Certificate[];
  readonly lifts: readonly NarrowingRecord[];
}

/** The largest document, in octets. */
const documentLimit = 2 * 1024 * 1024;

/**
 * Writes a set as the one text that stands for it: indented JSON in ASCII, members in a fixed order, a newline at its
 * end. What is not ASCII is escaped, so that nothing on a screen looks like something else.
 */
export function writeTrustSet(set: TrustSet): Buffer {
  const written: Written = {
    format: 'fleetroot-trust-set',
    version: 1,
    account: { id: set.account.id, name: set.account.name },
    number: set.number,
    drawn_at: set.drawn_at,
    previous_sha256: set.previous_sha256,
    fleet_root_cas: set.fleet_root_cas.map(({ id, name, state, certificates }) => ({
      id,
      name,
      state,
      certificates: certificates.map(describe),
    })),
    distrusted_keys: set.distrusted_keys.map((each) => ({
      public_key_sha256: each.publicKey.sha256,
      ...describe(each),
    })),
    lifts: set.lifts.map(({ id, kind, fleet_root_ca, public_key_sha256, set: since, at }) => ({
      id,
      kind,
      fleet_root_ca,
      public_key_sha256,
      set: since,
      at,
    })),
  };
  const json = JSON.stringify(written, null, 2).replaceAll(/[^\n -~]/g, escaped);
  return Buffer.from(`${json}\n`, 'ascii');
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function describe({ subject, notAfter, sha256, der }: Certificate) {
  return { subject: subject.text, not_after: formatInstant(notAfter), sha256, certificate: certificateToPem(der) };
}

/**
 * Reads a document, which must be the very text that `writeTrustSet` writes of what it says: no further member, no
 * second way to write it, nothing said of a certificate that is not so. Throws `invalid_request`.
 */
export function parseTrustSet(document: Uint8Array): TrustSet {
  if (document.byteLength > documentLimit) throw malformed('it is larger than 2 MiB');
  const bytes = Buffer.from(document);
  const set = readTrustSet(bytes);
  if (!writeTrustSet(set).equals(bytes)) throw malformed('it is not written as it was drawn');
  return set;
}

function readTrustSet(bytes: Buffer): TrustSet {
  let value: unknown;
  try {
    value = isAscii(bytes) ? JSON.parse(bytes.toString('latin1')) : null;
  } catch {
    value = null;
  }
  if (!Check(TrustSetSchema, value)) throw malformed('it is no fleetroot-trust-set of version 1');
  const { account, number, drawn_at, previous_sha256, lifts } = value;
  const fleet_root_cas = value.fleet_root_cas.map(({ id, name, state, certificates }) => ({
    id,
    name,
    state,
    certificates: certificates.map(read),
  }));
  requireDistinct(fleet_root_cas.map(({ id }) => id));
  requireDistinct(fleet_root_cas.map(({ name }) => name));
  requireDistinct(fleet_root_cas.flatMap(({ certificates }) => certificates.map((each) => each.sha256)));
  requireDistinct(lifts.map(({ id }) => id));
  for (const { name, certificates } of fleet_root_cas) {
    if (certificates.some(({ publicKey }) => publicKey.sha256 !== certificates[0]!.publicKey.sha256)) {
      throw malformed(`the certificates of the Fleet Root CA ${JSON.stringify(name)} have several keys`);
    }
  }
  const distrusted_keys = value.distrusted_keys.map(read);
  requireDistinct(distrusted_keys.map(({ publicKey }) => publicKey.sha256));
  return { account, number, drawn_at, previous_sha256, fleet_root_cas, distrusted_keys, lifts };
}

function read({ certificate: pem }: { certificate: string }): Certificate {
  try {
    const [one, another] = parseCertificates(Buffer.from(pem, 'ascii'));
    if (another === undefined) return one!;
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
  }
  throw malformed('a certificate in it is none');
}

function requireDistinct(values: readonly string[]): void {
  if (new Set(values).size < values.length) throw malformed('it names something twice');
}

function malformed(why: string): Problem {
  return new Problem(
    'invalid_request',
    `The document is no set that can count: ${why}.`,
    'Give the file that `fleet-root changes` wrote, unchanged, and the signature over it.',
  );
}
