// Provisioning with shared credentials, whole: mutual TLS handshake, durable record, signature, PKCS#12.

import type { BenchAccount, Fleetroot } from './fleetroot.ts';
import { Load } from './load.ts';
import { measure, print } from './rounds.ts';

/** Measures `POST /devices`, each on a connection of its own. */
export async function benchProvisioning(program: string, fleetroot: Fleetroot, account: BenchAccount): Promise<void> {
  using load = new Load(program, fleetroot.port, [account.provisioner], 'provision');
  const results = await measure([{ name: 'POST /devices', server: fleetroot.server, load }], {
    rounds: 5,
    requests: 1500,
  });
  print('Provisioning with shared credentials: handshake, device and certificate on the disk, PKCS#12', results);
}
