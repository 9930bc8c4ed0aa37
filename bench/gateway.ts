// The device gateway beside nginx and plain Node: whole and resumed handshakes, kept connections, requests passed on.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { at } from '../src/cli/client.ts';
import type { Figure } from './figures.ts';
import type { BenchAccount, Fleetroot } from './fleetroot.ts';
import { type Identity, Load } from './load.ts';
import {
  makeServerCertificate,
  nginxVersion,
  referenceHost,
  type Served,
  startBackEnd,
  startNginx,
  startPlainNode,
} from './references.ts';
import { type Contender, measure, print, type Result } from './rounds.ts';

type LoadOptions = ConstructorParameters<typeof Load>[5];

const rounds = 7;
const requests = 2_000;
/** Enough that the handshakes of kept connections do not count. */
const requestsOnKept = 12_000;

/**
 * Measures the gateway with one account and with many against the references, which serve the devices of the one
 * account a reply of the same size.
 */
export async function benchGateway(
  dir: string,
  program: string,
  one: { fleetroot: Fleetroot; account: BenchAccount },
  many: { fleetroot: Fleetroot; accounts: readonly BenchAccount[] },
): Promise<Figure[]> {
  await using held = new AsyncDisposableStack();
  const home = join(dir, 'references');
  mkdirSync(home);
  const clientCa = join(home, 'fleet-root.crt');
  writeFileSync(clientCa, one.account.fleetRoot);
  const reply = (await one.fleetroot.get(one.account.devices[0]!, '/device')).toString();
  const options = { ...makeServerCertificate(home), clientCa, reply };
  const backEnd = await startBackEnd(reply);
  const nginx = await startNginx(home, options, '', backEnd.port);
  const withoutTickets = await startNginx(home, options, 'ssl_conf_command NumTickets 0;');
  const plainNode = await startPlainNode(options);
  for (const { server } of [backEnd, nginx, withoutTickets, plainNode]) held.use(server);
  await one.fleetroot.api.put(at`/accounts/${'account-0'}/upstreams`, {
    prefix: '/proxied',
    url: `http://127.0.0.1:${backEnd.port}`,
  });

  const strangers = anyReply(one.account.devices).map((device) => ({ ...device, host: referenceHost }));
  const own = one.account.devices;
  const ofMany = many.accounts.flatMap(({ devices }) => devices);
  const contender = (
    name: string,
    { server, port }: Served,
    devices: readonly Identity[],
    load: LoadOptions = {},
  ): Contender => ({
    name,
    server,
    load: held.use(new Load(program, port, devices, load.path === undefined ? 'device' : 'get', undefined, load)),
  });
  const versions = `${nginxVersion()}, Node ${process.version} with OpenSSL ${process.versions.openssl}`;
  const figures: Figure[] = [];
  const figure = (what: string, against: string, ratio: number, aim: number): void => {
    figures.push({ what, against, versions, ratio, aim });
  };

  for (const tls of ['1.3', '1.2'] as const) {
    const what = `full handshake + GET /device, TLS ${tls}, P-256`;
    const results = await measure(
      [
        contender('nginx', nginx, strangers, { tls }),
        contender('nginx, without the two tickets that nobody can use', withoutTickets, strangers, { tls }),
        contender('plain Node https', plainNode, strangers, { tls }),
        contender('Fleetroot, 1 account', one.fleetroot, own, { tls }),
        contender(`Fleetroot, ${many.accounts.length} accounts`, many.fleetroot, ofMany, { tls }),
      ],
      { rounds, requests },
    );
    print(what, results);
    const [, , plain, fleetroot, ofManyAccounts] = results as [Result, Result, Result, Result, Result];
    figure(what, 'nginx, mutual TLS, static reply', fleetroot.ratio, 0.95);
    figure(what, 'plain Node https', fleetroot.perCpuSecond / plain.perCpuSecond, 1);
    figure(
      `${what}, ${many.accounts.length} accounts`,
      'the same, 1 account',
      ofManyAccounts.perCpuSecond / fleetroot.perCpuSecond,
      0.95,
    );
  }
  for (const [tls, aim] of [
    ['1.3', 1.3],
    ['1.2', 2.3],
  ] as const) {
    const what = `resumed connection + GET /device, TLS ${tls}`;
    const results = await measure(
      [
        contender('whole handshake', one.fleetroot, own, { tls }),
        contender('resumed', one.fleetroot, own, { tls, connections: 'resumed' }),
      ],
      { rounds, requests },
    );
    print(what, results);
    figure(what, 'own full handshake', results[1]!.ratio, aim);
  }
  const kept = { connections: 'kept' } as const;
  const onKept = await measure(
    [
      contender('nginx', nginx, strangers, kept),
      contender('plain Node https', plainNode, strangers, kept),
      contender('Fleetroot', one.fleetroot, own, kept),
    ],
    { rounds, requests: requestsOnKept },
  );
  print('GET /device on kept connections', onKept);
  figure('keep-alive GET /device', 'nginx, static reply', onKept[2]!.ratio, 0.5);

  const proxied = { connections: 'kept', path: '/proxied/x' } as const;
  const passedOn = await measure(
    [
      contender('nginx proxy_pass', nginx, strangers, proxied),
      contender('Fleetroot', one.fleetroot, anyReply(own), proxied),
    ],
    { rounds, requests: requestsOnKept / 2 },
  );
  print('Requests passed on to a back end, on kept connections', passedOn);
  figure('proxied request to a back end', 'nginx proxy_pass', passedOn[1]!.ratio, 0.5);
  return figures;
}

/** Devices that are content with the one reply that a reference, or a back end, has for all. */
function anyReply(devices: readonly Identity[]): Identity[] {
  return devices.map((device) => ({ ...device, expected: '"device_id":' }));
}
