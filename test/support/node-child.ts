// A node without its faces, to be killed: it has the shared registry open and provisions whom it is told to, and no more.

import { createSecureContext } from 'node:tls';
import { loadConfig } from '../../src/config.ts';
import { openLog } from '../../src/log.ts';
import { Metrics } from '../../src/metrics.ts';
import { createOutbound } from '../../src/outbound.ts';
import { loadAccountTrust } from '../../src/provisioning/account-trust.ts';
import { provisionDevice } from '../../src/provisioning/shared-credential.ts';
import { TrustFile } from '../../src/provisioning/trust-file.ts';
import { requireAccount } from '../../src/registry/accounts.ts';
import { requireProvisioningKey } from '../../src/registry/provisioning-keys.ts';
import { openMasterKey } from '../../src/server/master-key.ts';
import { openServerRegistry, settleInterrupted } from '../../src/server/registry.ts';
import { openServing } from '../../src/server/serving.ts';
import { tbsSha256Of } from '../../src/x509/certificate.ts';

/** What it is started with, as JSON. */
export interface NodeChildStart {
  readonly dataDir: string;
  readonly account: string;
  readonly provisioningKey: string;
  /** As the environment gives them. */
  readonly env: Readonly<Record<string, string>>;
}

/** Whom it provisioned, with the SHA-256 of the TBSCertificate; or why it did not. */
export type Provisioned = { readonly deviceId: string } & (
  | { readonly tbsSha256: string }
  | { readonly refused: string }
);

const { dataDir, account, provisioningKey, env } = JSON.parse(process.argv[2]!) as NodeChildStart;
const log = openLog('silent');
const metrics = new Metrics();
const config = loadConfig({ dataDir, env });
const onFailure = (error: Error) => {
  throw error;
};
const registry = await openServerRegistry(config, { clock: Date.now, metrics, onFailure });
const { seal } = await openMasterKey(config, registry, log);
await settleInterrupted(config, registry, log);
const trustFile = await TrustFile.open(dataDir, null);
const { provisioning } = openServing(config, {
  registry,
  seal,
  trustFile,
  outbound: createOutbound(config.outbound.allow),
  metrics,
  log,
  clock: Date.now,
  onWell: () => {},
  port: () => 0,
});
const trust = await loadAccountTrust(provisioning, await requireAccount(registry.read, account));

process.on('message', (deviceId: string) => {
  provision(deviceId).then(
    (tbsSha256) => process.send?.({ deviceId, tbsSha256 } satisfies Provisioned),
    (error: unknown) => {
      const refused = String((error as { code?: unknown }).code ?? error);
      process.send?.({ deviceId, refused } satisfies Provisioned);
    },
  );
});
process.on('disconnect', () => process.exit());
process.send?.('open');

/** The same as the gateway's route does for the holder of the provisioning key. */
async function provision(deviceId: string): Promise<string> {
  const key = await requireProvisioningKey(registry.read, account, provisioningKey);
  const { pkcs12, settle } = await provisionDevice(provisioning, trust, key, {
    deviceId,
    ttl: 1,
    address: '127.0.0.1',
  });
  const { context } = createSecureContext({ pfx: pkcs12, passphrase: '' });
  const certificate = (context as unknown as { getCertificate(): Buffer }).getCertificate();
  void settle('arrived').catch(() => undefined);
  return tbsSha256Of(certificate)!;
}
