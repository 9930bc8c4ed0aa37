// A program of the story: somebody who has copied a line's whole directory makes a certificate with its key, past the service.

import { createPublicKey } from 'node:crypto';
import { loadConfig } from '../config.ts';
import { openFactory, ownerNamed, readyLine } from '../factory/factory.ts';
import { openLog } from '../log.ts';
import { certificateToPem } from '../x509/certificate.ts';

const day = 24 * 60 * 60 * 1000;
const [dataDir, deviceId, publicKey] = process.argv.slice(2) as [string, string, string];

await using factory = await openFactory(loadConfig({ dataDir, env: {} }), { log: openLog('error') });
const { line, ca } = await readyLine(factory);
const prepared = factory.maker.prepare({
  profile: 'line_device',
  account: ownerNamed(line.name),
  ca,
  publicKey: createPublicKey(publicKey).export({ type: 'spki', format: 'der' }),
  deviceId,
  notAfter: factory.clock() + 365 * day,
});
process.stdout.write(certificateToPem(await factory.maker.issue(prepared)));
