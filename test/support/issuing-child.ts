// A program that has a data directory open and provisions whom it is told to, to be killed: the core of the server, and no more.

import { loadConfig } from '../../src/config.ts';
import { createSoftwareCustodian } from '../../src/custody/software.ts';
import { HeldKeys } from '../../src/issuing/held-keys.ts';
import { Issuer } from '../../src/issuing/issuer.ts';
import { openLog } from '../../src/log.ts';
import type { AccountTrust } from '../../src/provisioning/account-trust.ts';
import { KeyPool } from '../../src/provisioning/key-pool.ts';
import type { Provisioning } from '../../src/provisioning/provisioning.ts';
import { provisionDevice } from '../../src/provisioning/shared-credential.ts';
import { requireAccount } from '../../src/registry/accounts.ts';
import { trustOf } from '../../src/registry/fleet-root-cas.ts';
import { listProvisioningKeys } from '../../src/registry/provisioning-keys.ts';
import { openRegistry } from '../../src/registry/writer.ts';
import { openMasterKey } from '../../src/server/master-key.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';

/** The PKCS#12 in Base64, once it is recorded; or what it was refused with. */
export type Provisioned = { readonly deviceId: string } & ({ readonly pkcs12: string } | { readonly refused: string });

const [dataDir, accountId] = process.argv.slice(2) as [string, string];
const registry = await openRegistry({
  file: `${dataDir}/registry.db`,
  clock: Date.now,
  onFailure: (error) => {
    throw error;
  },
});
const masterKey = await openMasterKey(loadConfig({ dataDir, env: {} }), registry, openLog('silent'));
// As a start of the server does.
await registry.write('settleInterrupted', { gone: 'all', before: Date.now() });

const custodian = createSoftwareCustodian(masterKey.seal);
const keys = new HeldKeys({ registry, custodians: new Map([[custodian.name, custodian]]), newKeysIn: custodian.name });
const issuer = new Issuer({ registry, keys, clock: Date.now });
const provisioning = { registry, issuer, keyPool: new KeyPool() } as unknown as Provisioning;
const account = await requireAccount(registry.read, accountId);
const { fleet_root_cas, certificates } = await trustOf(registry.read, account.id);
const trust = {
  account,
  roots: new Map(fleet_root_cas.map((root) => [root.id, root])),
  anchors: certificates
    .filter(({ role }) => role === 'anchor')
    .map((row) => ({ id: row.fleet_root_ca_id, certificate: parseCertificate(row.certificate) })),
  distrusted: new Set<string>(),
} as unknown as AccountTrust;

process.on('message', (deviceId: string) => {
  provision(deviceId).then(
    (pkcs12) => process.send?.({ deviceId, pkcs12: pkcs12.toString('base64') } satisfies Provisioned),
    (error: unknown) => {
      const refused = String((error as { code?: unknown }).code ?? error);
      process.send?.({ deviceId, refused } satisfies Provisioned);
    },
  );
});
process.on('disconnect', () => {
  void registry[Symbol.asyncDispose]().then(() => process.exit());
});
process.send?.('open');

async function provision(deviceId: string): Promise<Buffer> {
  const [key] = await listProvisioningKeys(registry.read, account.id);
  const { pkcs12 } = await provisionDevice(provisioning, trust, key!, { deviceId, ttl: '36000', address: '127.0.0.1' });
  return pkcs12;
}
