// What an account trusts, parsed: its Fleet Root CAs, its provisioning CA, and the keys that count for nothing.

import { trustOf } from '../registry/fleet-root-cas.ts';
import type { Db } from '../registry/database.ts';
import type { Account, FleetRootCa } from '../registry/tables.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import type { Anchor } from '../x509/path.ts';

/** The trust anchors of an account at one instant; whoever keeps it forgets it at the next change. */
export interface AccountTrust {
  readonly account: Account;
  readonly roots: ReadonlyMap<string, FleetRootCa>;
  /** The certificates of the Fleet Root CAs and of the provisioning CA; an anchor's ID is that of its CA. */
  readonly anchors: readonly Anchor[];
  readonly provisioningCaId: string | null;
  readonly intermediates: readonly Certificate[];
  /** Disabled Fleet Root CAs by the SHA-256 of their public key. */
  readonly disabled: ReadonlyMap<string, FleetRootCa>;
  /** SHA-256 of distrusted public keys. */
  readonly distrusted: ReadonlySet<string>;
}

/** Reads and parses what an account trusts. */
export async function loadAccountTrust(db: Db, account: Account): Promise<AccountTrust> {
  const { fleet_root_cas, certificates, distrusted_keys, provisioning_ca } = await trustOf(db, account.id);
  const anchors: Anchor[] = [];
  const intermediates: Certificate[] = [];
  for (const row of certificates) {
    const certificate = parseCertificate(row.certificate);
    if (row.role === 'anchor') anchors.push({ id: row.fleet_root_ca_id, certificate });
    else intermediates.push(certificate);
  }
  if (provisioning_ca) {
    anchors.push({ id: provisioning_ca.id, certificate: parseCertificate(provisioning_ca.certificate) });
  }
  const disabled = fleet_root_cas.filter((root) => root.state === 'disabled');
  return {
    account,
    roots: new Map(fleet_root_cas.map((root) => [root.id, root])),
    anchors,
    provisioningCaId: provisioning_ca?.id ?? null,
    intermediates,
    disabled: new Map(disabled.map((root) => [root.public_key_sha256, root])),
    distrusted: new Set(distrusted_keys.map((row) => row.public_key_sha256)),
  };
}
