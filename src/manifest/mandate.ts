// The mandate of a line: what its Fleet Root lets it make, signed by the root's key and shown to whoever counts.

import { Problem } from '../problem.ts';
import { parseInstant } from '../time.ts';
import type { PublicKey } from '../x509/key.ts';
import { verifyStatement } from './jws.ts';

/** `typ` of a mandate. */
export const mandateType = 'fleetroot-mandate-v1';

/** What is signed. */
interface MandatePayload {
  /** A UUID: the same mandate brought twice is one. */
  readonly id: string;
  /** SHA-256 of the public key of the line's CA. */
  readonly line: string;
  /** The line's name. */
  readonly name: string;
  /** How many distinct device keys. */
  readonly quota: number;
  /** RFC 3339, in UTC. */
  readonly issued_at: string;
  readonly not_after: string;
  /** RE2, for the whole device ID. */
  readonly device_id_pattern: string;
  /** The one order that it is for; null for any. */
  readonly order: string | null;
}

type Check = (value: unknown) => boolean;

const text =
  (longest: number): Check =>
  (value) =>
    typeof value === 'string' && value.length > 0 && value.length <= longest;
const like =
  (form: RegExp): Check =>
  (value) =>
    typeof value === 'string' && form.test(value);

/**
 * All members that there are, and what each has to be. By hand: it is all that a line reads of a statement when it
 * starts, and a library of schemas would be a third of that start, in both of its threads.
 */
const members: Readonly<Record<keyof MandatePayload, Check>> = {
  id: like(/^[0-9a-f-]{36}$/),
  line: like(/^[0-9a-f]{64}$/),
  name: text(64),
  quota: (value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 1_000_000_000,
  issued_at: text(40),
  not_after: text(40),
  device_id_pattern: text(512),
  order: (value) => value === null || text(64)(value),
};

function isMandate(value: unknown): value is MandatePayload {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== Object.keys(members).length) {
    return false;
  }
  return Object.entries(members).every(([name, holds]) => holds((value as Record<string, unknown>)[name]));
}

/** A mandate, read and verified; times are ms since 1970. */
export interface Mandate extends Omit<MandatePayload, 'issued_at' | 'not_after'> {
  readonly issuedAt: number;
  readonly notAfter: number;
  /** As it was signed. */
  readonly jws: string;
}

/** Reads a mandate that the key of a Fleet Root has signed. Throws Problem('invalid_request'). */
export async function readMandate(jws: string, root: PublicKey): Promise<Mandate> {
  const payload = await verifyStatement(jws, { key: root, type: mandateType, what: 'The mandate' });
  if (!isMandate(payload)) throw new Problem('invalid_request', 'The mandate does not say what a mandate says.');
  const { issued_at, not_after, ...rest } = payload;
  const [issuedAt, notAfter] = [parseInstant(issued_at), parseInstant(not_after)];
  if (issuedAt === null || notAfter === null) {
    throw new Problem('invalid_request', 'The mandate names a time that is none.');
  }
  return { ...rest, issuedAt, notAfter, jws };
}
