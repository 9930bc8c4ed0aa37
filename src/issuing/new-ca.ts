// The making of a CA: its key in custody, and the certificate that the key signs for itself.

import { randomUUID } from 'node:crypto';

import type { Account, KeyRow } from '../registry/tables.ts';
import { parseCertificate } from '../x509/certificate.ts';
import type { Issuer, Recording } from './issuer.ts';
import { profiles } from './profile.ts';
import type { ServerCa } from './request.ts';
import type { SigningCa } from './signing-ca.ts';

/** A CA that has been made and is to be recorded under this ID, which is in its subject too. */
export type NewCa = SigningCa & { readonly id: string };

/**
 * Makes a P-256 key and a CA of it. `exportable` as HeldKeys.create takes it, `recording` as
 * Issuer.issue does. Throws as HeldKeys.create, Issuer.prepare
 * and Issuer.issue do.
 */
export async function makeCa(
  issuer: Issuer,
  account: Account,
  profile: ServerCa,
  { exportable, recording }: { exportable?: boolean | undefined; recording?: Recording } = {},
): Promise<NewCa> {
  const id = randomUUID();
  const key = await issuer.keys.create({
    account,
    purpose: profiles[profile].signedBy,
    keyType: 'p256',
    ...(exportable !== undefined && { exportable }),
  });
  try {
    const certificate = await issuer.issue(issuer.prepare({ profile, account, key, id }), recording);
    return { id, key, certificate: parseCertificate(certificate) };
  } catch (error) {
    return discard(issuer, key, error);
  }
}

/** Gives what `record` gives; where it fails, the CA that it was to record has come to nothing, and its key is destroyed. */
export async function recordCa<Recorded>(
  issuer: Issuer,
  { key }: NewCa,
  record: () => Promise<Recorded>,
): Promise<Recorded> {
  try {
    return await record();
  } catch (error) {
    return discard(issuer, key, error);
  }
}

/** The first error is the one to tell: the key is destroyed later where it cannot be now. */
async function discard(issuer: Issuer, key: KeyRow, error: unknown): Promise<never> {
  await issuer.keys.discard(key).catch(() => {});
  throw error;
}
