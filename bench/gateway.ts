// The device gateway: full mutual TLS 1.3 handshakes and `GET /device`, beside nginx and plain Node.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchAccount, Fleetroot } from './fleetroot.ts';
import { type Identity, Load } from './load.ts';
import { makeServerCertificate, referenceHost, type Served, startNginx, startPlainNode } from './references.ts';
import { type Contender, measure, print } from './rounds.ts';

/**
 * Measures the gateway with one account and with many against the references, which serve the devices of the one
 * account a reply of the same size.
 */
export async function benchGateway(
  dir: string,
  program: string,
  one: { fleetroot: Fleetroot; account: BenchAccount },
  many: { fleetroot: Fleetroot; accounts: readonly BenchAccount[] },
): Promise<void> {
  await using held = new AsyncDisposableStack();
  const home = join(dir, 'references');
  mkdirSync(home);
  const clientCa = join(home, 'fleet-root.crt');
  writeFileSync(clientCa, one.account.fleetRoot);
  const reply = (await one.fleetroot.get(one.account.devices[0]!, '/device')).toString();
  const options = { ...makeServerCertificate(home), clientCa, reply };
  const nginx = await startNginx(home, options);
  const withoutTickets = await startNginx(home, options, 'ssl_conf_command NumTickets 0;');
  const plainNode = await startPlainNode(options);
  for (const { server } of [nginx, withoutTickets, plainNode]) held.use(server);

  const strangers = one.account.devices.map(({ pkcs12 }) => ({
    host: referenceHost,
    pkcs12,
    expected: '"device_id":',
  }));
  const contender = (name: string, { server, port }: Served, devices: readonly Identity[] = strangers): Contender => ({
    name,
    server,
    load: held.use(new Load(program, port, devices, 'device')),
  });
  const ofMany = many.accounts.flatMap(({ devices }) => devices);
  const results = await measure(
    [
      contender('nginx', nginx),
      contender('nginx, without the two tickets that nobody can use', withoutTickets),
      contender('plain Node https', plainNode),
      contender('Fleetroot, 1 account', one.fleetroot, one.account.devices),
      contender(`Fleetroot, ${many.accounts.length} accounts`, many.fleetroot, ofMany),
    ],
    { rounds: 7, requests: 2500 },
  );
  print('GET /device, each on a connection of its own with a full mutual TLS 1.3 handshake on P-256', results);
}
