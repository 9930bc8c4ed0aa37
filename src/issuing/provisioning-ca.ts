// The provisioning CA of a test account: no Fleet Root CA, so that a provisioning key never passes as a device.

import { Problem } from '../problem.ts';
import { provisioningCaOf } from '../registry/provisioning-cas.ts';
import type { Account, ProvisioningCa } from '../registry/tables.ts';
import type { Issuer } from './issuer.ts';
import { makeCa, recordCa } from './new-ca.ts';
import { readSigningCa } from './recorded-ca.ts';

/** Makes the account's provisioning CA. Throws Problem('provisioning_not_offered') for a production account. */
export async function createProvisioningCa(
  issuer: Issuer,
  account: Account,
  options: { exportable?: boolean | undefined } = {},
): Promise<ProvisioningCa> {
  const made = await makeCa(issuer, account, 'provisioning_ca', options);
  const { id, key, certificate } = made;
  const ca = {
    id,
    account_id: account.id,
    key_id: key.id,
    certificate: certificate.der,
    not_after: certificate.notAfter,
  };
  return recordCa(issuer, made, () => issuer.registry.write('recordProvisioningCa', ca));
}

/**
 * Issues the certificate (DER) of a provisioning key, whose ID is its common name. `notAfter` is in ms since 1970; the
 * certificate never outlives the CA. Throws Problem('provisioning_not_offered') for an account without provisioning CA.
 */
export async function issueProvisioningKeyCertificate(
  issuer: Issuer,
  account: Account,
  { publicKey, id, notAfter }: { publicKey: Uint8Array; id: string; notAfter: number },
): Promise<Buffer> {
  const row = await provisioningCaOf(issuer.registry.read, account.id);
  if (row === undefined) throw new Problem('provisioning_not_offered');
  const ca = await readSigningCa(issuer.registry.read, row);
  return issuer.issue(issuer.prepare({ profile: 'provisioning_key', account, ca, publicKey, id, notAfter }));
}
