// Provisioning with shared credentials, whole, beside OpenBao's `pki/issue`: key, certificate, and both on the disk.

import type { Figure } from './figures.ts';
import type { BenchAccount, Fleetroot } from './fleetroot.ts';
import { Load } from './load.ts';
import { needsOpenBao, OpenBaoIssuer, openbaoVersion } from './openbao-issue.ts';
import { type Contender, measure, print } from './rounds.ts';

/** Connections that ask at once, of both. */
const atOnce = 64;
/** Asked of each before anything counts: what Node compiles while it runs, it has compiled by then. */
const warmUp = 6_000;

/**
 * Measures `POST /devices`, each on a connection of its own and all on kept ones, beside OpenBao. Both hold what they have
 * issued on their disk before they answer, and verify a client certificate in each handshake; OpenBao a token with each
 * request besides. Beside that, OpenBao without client certificates and without keeping what it issues.
 */
export async function benchProvisioning(
  program: string,
  { server, port }: Pick<Fleetroot, 'server' | 'port'>,
  { provisioner }: Pick<BenchAccount, 'provisioner'>,
): Promise<Figure[]> {
  const missing = needsOpenBao();
  if (missing) throw new Error(`The bench ${missing}.`);
  await using held = new AsyncDisposableStack();
  const issuers = {
    'OpenBao pki/issue': held.use(await OpenBaoIssuer.start({ mutual: true, stored: true })),
    'the same without client certificates': held.use(await OpenBaoIssuer.start({ mutual: false, stored: true })),
    'the same, nothing stored': held.use(await OpenBaoIssuer.start({ mutual: true, stored: false })),
  };
  const versions = `${openbaoVersion}, Node ${process.version}`;
  const cells = [
    { connections: 'new', what: 'shared provisioning, whole, new connection', aim: 1.5 },
    { connections: 'kept', what: 'POST /devices on a kept connection', aim: 3 },
  ] as const;
  const figures: Figure[] = [];
  for (const { connections, what, aim } of cells) {
    const load = held.use(new Load(program, port, [provisioner], 'provision', atOnce, { connections }));
    const contenders: Contender[] = [
      ...Object.entries(issuers).map(([name, issuer]) => issuer.contender(program, name, connections, atOnce)),
      { name: `Fleetroot, ${what}`, server, load },
    ];
    for (const { load } of contenders) {
      for (let made = 0; made < warmUp;) made += (await load.run(warmUp)).requests;
    }
    const results = await measure(contenders, { rounds: 7, requests: 2_000 });
    print(`${what}, ${atOnce} at once`, results);
    const { ratio } = results.at(-1)!;
    figures.push({ what, against: 'OpenBao pki/issue, stored, mutual TLS', versions, ratio, aim });
  }
  return figures;
}
