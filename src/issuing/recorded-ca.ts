// A CA of an account, read back from the registry; a factory's line is read from records of its own.

import type { Db } from '../registry/database.ts';
import { keyById } from '../registry/keys.ts';
import { parseCertificate } from '../x509/certificate.ts';
import type { SigningCa } from './signing-ca.ts';

/** Reads a CA back from what was recorded of it. */
export async function readSigningCa(db: Db, ca: { certificate: Uint8Array; key_id: string }): Promise<SigningCa> {
  const key = await keyById(db, ca.key_id);
  if (key === undefined) throw new Error(`key ${ca.key_id} of a CA is not recorded`);
  return { certificate: parseCertificate(ca.certificate), key };
}
