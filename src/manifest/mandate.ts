// The mandate of a line: what its Fleet Root lets it make, signed by the root's key and shown to whoever counts.

import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';

import { Problem } from '../problem.ts';
import { parseInstant } from '../time.ts';
import type { PublicKey } from '../x509/key.ts';
import { verifyStatement } from './jws.ts';

/** `typ` of a mandate. */
export const mandateType = 'fleetroot-mandate-v1';

const text = (longest: number) => Type.String({ minLength: 1, maxLength: longest });
const sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });

/** What is signed. */
const MandateSchema = Type.Object(
  {
    /** A UUID: the same mandate brought twice is one. */
    id: Type.String({ pattern: '^[0-9a-f-]{36}$' }),
    /** SHA-256 of the public key of the line's CA. */
    line: sha256,
    /** The line's name. */
    name: text(64),
    /** How many distinct device keys. */
    quota: Type.Integer({ minimum: 1, maximum: 1_000_000_000 }),
    /** RFC 3339, in UTC. */
    issued_at: text(40),
    not_after: text(40),
    /** RE2, for the whole device ID. */
    device_id_pattern: text(512),
    /** The one order that it is for; null for any. */
    order: Type.Union([text(64), Type.Null()]),
  },
  { additionalProperties: false },
);

/** A mandate, read and verified; times are ms since 1970. */
export interface Mandate extends Omit<Static<typeof MandateSchema>, 'issued_at' | 'not_after'> {
  readonly issuedAt: number;
  readonly notAfter: number;
  /** As it was signed. */
  readonly jws: string;
}

/** Reads a mandate that the key of a Fleet Root has signed. Throws Problem('invalid_request'). */
export async function readMandate(jws: string, root: PublicKey): Promise<Mandate> {
  const payload = await verifyStatement(jws, { key: root, type: mandateType, what: 'The mandate' });
  if (!Value.Check(MandateSchema, payload)) {
    throw new Problem('invalid_request', 'The mandate does not say what a mandate says.');
  }
  const { issued_at, not_after, ...rest } = payload;
  const [issuedAt, notAfter] = [parseInstant(issued_at), parseInstant(not_after)];
  if (issuedAt === null || notAfter === null) {
    throw new Problem('invalid_request', 'The mandate names a time that is none.');
  }
  return { ...rest, issuedAt, notAfter, jws };
}
