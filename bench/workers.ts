// One process beside two that share the gateway port, on the same two cores.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Figure } from './figures.ts';
import { Fleetroot } from './fleetroot.ts';
import { Load } from './load.ts';
import { loadCore, serverCore } from './pinned.ts';
import { measure, print } from './rounds.ts';

const devices = 50;

/**
 * Measures whole handshakes with `GET /device`. The load needs one of the two cores itself, so that the clock cannot tell
 * what both would do: what is taken is the work done per CPU-second, of all processes, times the cores that they fill.
 */
export async function benchWorkers(program: string, dir: string): Promise<Figure[]> {
  await using held = new AsyncDisposableStack();
  const contender = async (workers: number) => {
    const home = join(dir, `${workers}`);
    mkdirSync(home, { recursive: true });
    const env = { FLEETROOT_GATEWAY_WORKERS: `${workers}` };
    const fleetroot = held.use(await Fleetroot.start(home, env, `${loadCore},${serverCore}`));
    const [account] = await fleetroot.fill(1, devices);
    const load = held.use(new Load(program, fleetroot.port, account!.devices, 'device', 64));
    return { name: `${workers} worker(s)`, server: fleetroot.server, load };
  };
  const results = await measure([await contender(1), await contender(2)], { rounds: 9, requests: 2_000 });
  const what = '2 workers on 2 cores: full handshake + GET /device';
  print(what, results);
  const versions = `Node ${process.version}`;
  const against = '1 worker on 1 core; by CPU-seconds, the load has one of the cores';
  return [{ what, against, versions, ratio: 2 * results[1]!.ratio, aim: 1.8 }];
}
