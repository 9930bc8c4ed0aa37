// The generated Fleet Root CA of a test account, whose key is in our custody.

import type { Account, FleetRootCa } from '../registry/tables.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { Issuer } from './issuer.ts';
import { makeCa, recordCa } from './new-ca.ts';

/** Makes a Fleet Root CA. Throws Problem('provisioning_not_offered') for a production account, Problem('name_taken'). */
export async function createFleetRootCa(
  issuer: Issuer,
  account: Account,
  { name = 'generated', exportable }: { name?: string; exportable?: boolean | undefined } = {},
): Promise<FleetRootCa> {
  const made = await makeCa(issuer, account, 'fleet_root_ca', { exportable });
  const { id, key, certificate } = made;
  const ca = {
    id,
    account_id: account.id,
    name,
    kind: 'generated',
    state: 'active',
    key_id: key.id,
    subject: new Uint8Array(certificate.subject.der),
    public_key_sha256: certificate.publicKey.sha256,
    successor_id: null,
  } as const;
  const certificates = [anchorRow(certificate)];
  return recordCa(issuer, made, () => issuer.registry.write('addFleetRootCa', { ca, certificates }));
}

/** The row of a Fleet Root CA's own certificate. */
export function anchorRow(certificate: Certificate) {
  return {
    role: 'anchor' as const,
    sha256: certificate.sha256,
    public_key_sha256: certificate.publicKey.sha256,
    certificate: new Uint8Array(certificate.der),
    not_after: certificate.notAfter,
  };
}
