// The same with a million devices, 10,000 accounts and 100,000 revoked as with none: connections, provisionings, the start, memory.

import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { bigRegistry, bigSize } from './big-registry.ts';
import type { Figure } from './figures.ts';
import { type BenchAccount, Fleetroot } from './fleetroot.ts';
import { Load } from './load.ts';
import { measure, print } from './rounds.ts';

const countedStarts = 5;
/** Kept between runs: it takes minutes to make. */
const home = join(tmpdir(), 'fleetroot-bench-million');

/** Measures beside a server that has one account and the same calls. */
export async function benchMillion(
  program: string,
  empty: { fleetroot: Fleetroot; account: BenchAccount },
): Promise<Figure[]> {
  await using held = new AsyncDisposableStack();
  const account = await bigRegistry(home);
  const starts: number[] = [];
  // The first brings migrations and compiles code, and does not count.
  for (let n = 0; n <= countedStarts; n += 1) {
    const began = performance.now();
    await using _started = await Fleetroot.start(home);
    if (n > 0) starts.push((performance.now() - began) / 1_000);
  }
  const full = held.use(await Fleetroot.start(home));
  const versions = `Node ${process.version}, SQLite of node:sqlite`;
  const size = `${bigSize.devices} devices, ${bigSize.accounts} accounts, ${bigSize.revoked} revoked`;
  const figures: Figure[] = [];
  const cells = [
    { what: 'full handshake + GET /device', call: 'device', devices: (of: BenchAccount) => of.devices },
    { what: 'shared provisioning, whole', call: 'provision', devices: (of: BenchAccount) => [of.provisioner] },
  ] as const;
  for (const { what, call, devices } of cells) {
    const load = ({ port }: Fleetroot, of: BenchAccount) => held.use(new Load(program, port, devices(of), call));
    const results = await measure(
      [
        { name: 'empty', server: empty.fleetroot.server, load: load(empty.fleetroot, empty.account) },
        { name: size, server: full.server, load: load(full, account) },
      ],
      { rounds: 7, requests: 1_500 },
    );
    print(what, results);
    figures.push({
      what: `${what}, ${size}`,
      against: 'the same, empty',
      versions,
      ratio: results[1]!.ratio,
      aim: 0.95,
    });
  }
  const said = starts.map((seconds) => seconds.toFixed(1)).join(', ');
  console.log(`\n${size}: ready after ${said} s, ${full.server.residentMemory().toFixed(0)} MiB after the above`);
  console.log(`empty: ${empty.fleetroot.server.residentMemory().toFixed(0)} MiB`);
  return figures;
}
