// Revoked means gone, everywhere: four nodes on one PostgreSQL, 20,000 open connections, and the time until the last has ended.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { at } from '../src/cli/client.ts';
import { startCluster } from './cluster.ts';
import type { Fleetroot } from './fleetroot.ts';
import type { Ended, Held } from './holder.ts';

const nodeCount = 4;
const deviceCount = 1_000;
/** Of each device, five at each node. */
const connectionsOfEach = 20;
const revokedOneByOne = 200;
const holders = 4;

/** Measures and prints: the time is to be under a second. */
export async function benchNodes(dir: string): Promise<void> {
  await using held = new AsyncDisposableStack();
  const { nodes } = await startCluster(held, dir, nodeCount);
  const [first] = nodes as [Fleetroot];
  const [account] = await first.fill(1, deviceCount);
  const { host, devices } = account!;
  const memoryBefore = nodes.map(({ server }) => server.residentMemory());

  const ended = new Map<number, number[]>();
  let waiting: (() => void) | null = null;
  const children = Array.from({ length: holders }, (_, holder): ChildProcess => {
    const mine = devices.map((_device, index) => index).filter((index) => index % holders === holder);
    const told: Held = {
      host,
      ports: nodes.map(({ port }) => port),
      pkcs12: mine.map((index) => devices[index]!.pkcs12),
      each: connectionsOfEach,
    };
    const child = fork(new URL('holder.ts', import.meta.url).pathname, [JSON.stringify(told)]);
    child.on('message', (message: Ended | 'held') => {
      if (message === 'held') return;
      const index = mine[message[0]]!;
      ended.set(index, [...(ended.get(index) ?? []), message[1]]);
      waiting?.();
    });
    held.defer(() => void child.kill());
    return child;
  });
  await Promise.all(children.map((child) => until(child)));
  const grown = nodes.reduce((sum, node, index) => sum + node.server.residentMemory() - memoryBefore[index]!, 0);

  const gone = (indexes: readonly number[]): Promise<void> =>
    new Promise((resolve) => {
      const isOver = () => indexes.every((index) => ended.get(index)?.length === connectionsOfEach);
      waiting = () => isOver() && resolve();
      waiting();
    });
  const last = (index: number) => Math.max(...ended.get(index)!);

  const single: Times = { called: [], returned: [] };
  for (let index = 0; index < revokedOneByOne; index += 1) {
    const id = /"device_id":"([^"]+)"/.exec(devices[index]!.expected)![1]!;
    const { api } = nodes[index % nodeCount]!;
    const times = await timed(() => api.post(at`/accounts/${'account-0'}/devices/${id}/revoke?confirm=1`));
    await gone([index]);
    note(single, times, [last(index)]);
  }
  const together: Times = { called: [], returned: [] };
  const rest = devices.map((_device, index) => index).slice(revokedOneByOne);
  const disable = at`/accounts/${'account-0'}/fleet-root-cas/generated/disable?confirm=1000000`;
  const times = await timed(() => first.api.post(disable));
  await gone(rest);
  note(
    together,
    times,
    rest.flatMap((index) => ended.get(index)!),
  );

  const open = deviceCount * connectionsOfEach;
  console.log(`\nRevoked means gone: ${nodeCount} nodes on one PostgreSQL, ${open} connections open at first`);
  console.log(`  memory of the nodes for each open connection: ${((grown * 1_024) / open).toFixed(0)} KiB`);
  print(
    `device revoke, ${revokedOneByOne} one after the other, to the last of ${connectionsOfEach} connections`,
    single,
  );
  print(`fleet-root disable, ${together.called.length} connections at once`, together);
}

/** Milliseconds to the end of connections, from the operator's call and from its answer (0 where it was before that). */
interface Times {
  readonly called: number[];
  readonly returned: number[];
}

async function timed(call: () => Promise<unknown>): Promise<{ called: number; returned: number }> {
  const called = Date.now();
  await call();
  return { called, returned: Date.now() };
}

function note(times: Times, { called, returned }: { called: number; returned: number }, ends: readonly number[]): void {
  for (const end of ends) {
    times.called.push(end - called);
    times.returned.push(Math.max(0, end - returned));
  }
}

function print(what: string, { called, returned }: Times): void {
  const of = (times: readonly number[]) => `p50 ${p(times, 0.5)}, p99 ${p(times, 0.99)}, longest ${p(times, 1)} ms`;
  console.log(`  ${what}:\n    from the call ${of(called)}; from its answer ${of(returned)}`);
}

async function until(child: ChildProcess): Promise<void> {
  for (;;) {
    const [message] = (await once(child, 'message')) as [unknown];
    if (message === 'held') return;
  }
}

function p(times: readonly number[], share: number): number {
  const sorted = times.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}
