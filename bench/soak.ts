// `npm run soak [-- MINUTES]`: a server at 70 % of its core while devices come and go; draws docs/soak.svg.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { at } from '../src/cli/client.ts';
import { Fleetroot } from './fleetroot.ts';
import { drawGraph } from './graph.ts';
import { compileLoad, Load } from './load.ts';

/** What is done each second, in parts of a whole: device calls on new, resumed and kept connections, and devices made. */
const mix = { new: 6, resumed: 6, kept: 12, made: 1 };
/** Of the server's core. */
const share = 0.7;
/** A device lives so many seconds, from its provisioning until it is deleted. */
const lifetime = 60;
const sampleEvery = 10;
const calibration = { seconds: 20, scale: 10 };

const minutes = Number(process.argv[2] ?? 20);
await using held = new AsyncDisposableStack();
const dir = mkdtempSync(join(tmpdir(), 'fleetroot-soak-'));
held.defer(() => rmSync(dir, { recursive: true, force: true }));
const program = compileLoad(dir);
const fleetroot = held.use(await Fleetroot.start(join(dir, 'data')));
const { server, port, api } = fleetroot;
const [account] = (await fleetroot.fill(1, 200)) as [Awaited<ReturnType<Fleetroot['fill']>>[number]];
const load = (connections: 'new' | 'resumed' | 'kept') =>
  held.use(new Load(program, port, account.devices, 'device', 8, { connections }));
const calls = { new: load('new'), resumed: load('resumed'), kept: load('kept') };
const makers = held.use(new Load(program, port, [account.provisioner], 'provision', 8));

let errors = 0;
let requests = 0;
/** Devices by the second in which they were made. */
const alive: string[][] = [];

/** One second's work. Gives how long it took, in milliseconds. */
async function work(scale: number): Promise<number> {
  const began = performance.now();
  const called = (['new', 'resumed', 'kept'] as const).map((kind) => calls[kind].run(Math.round(mix[kind] * scale)));
  const made = await makers.run(Math.round(mix.made * scale));
  for (const done of [...(await Promise.all(called)), made]) {
    requests += done.requests;
    errors += done.errors;
  }
  alive.push(Array.from({ length: made.requests }, (_, n) => `${made.name}-${n}`));
  const ended = alive.length > lifetime ? alive.shift()! : [];
  await Promise.all(ended.map((device) => api.delete(at`/accounts/${'account-0'}/devices/${device}?confirm=1`)));
  return performance.now() - began;
}

interface Sample {
  readonly seconds: number;
  /** Of a core. */
  readonly cpu: number;
  /** MiB. */
  readonly resident: number;
  readonly heap: number;
  /** Longest second's work since the sample before, in milliseconds. */
  readonly longest: number;
  /** Writes and connections that wait. */
  readonly waiting: number;
}

// As much as a device's life lasts, so that deletions are part of what is weighed.
for (let second = 0; second < lifetime; second += 1) await work(1);
const cpuBefore = server.cpuSeconds();
for (let second = 0; second < calibration.seconds; second += 1) await work(calibration.scale);
const scale = (calibration.scale * share * calibration.seconds) / (server.cpuSeconds() - cpuBefore);
console.log(
  `each second: ${Object.entries(mix)
    .map(([kind, parts]) => `${Math.round(parts * scale)} ${kind}`)
    .join(', ')}`,
);
[requests, errors] = [0, 0];

const samples: Sample[] = [];
const began = performance.now();
let [cpu, sampled, longest] = [server.cpuSeconds(), began, 0];
while (performance.now() - began < minutes * 60_000) {
  const took = await work(scale);
  longest = Math.max(longest, took);
  await setTimeout(Math.max(0, 1_000 - took));
  const now = performance.now();
  if (now - sampled < sampleEvery * 1_000) continue;
  const of = await fleetroot.metrics();
  const cpuNow = server.cpuSeconds();
  const sample: Sample = {
    seconds: Math.round((now - began) / 1_000),
    cpu: ((cpuNow - cpu) * 1_000) / (now - sampled),
    resident: of('process_resident_memory_bytes') / 2 ** 20,
    heap: of('nodejs_heap_size_used_bytes') / 2 ** 20,
    longest,
    waiting: of('fleetroot_registry_waiting_writes') + of('fleetroot_waiting_connections'),
  };
  samples.push(sample);
  console.log(
    `${sample.seconds} s: ${(sample.cpu * 100).toFixed(0)} % CPU, ${sample.resident.toFixed(0)} MiB resident, heap ${sample.heap.toFixed(0)} MiB, longest second ${longest.toFixed(0)} ms, waiting ${sample.waiting}`,
  );
  [cpu, sampled, longest] = [cpuNow, now, 0];
}
console.log(`${requests} requests, ${errors} errors, ${alive.flat().length} devices at the end`);
writeFileSync(
  new URL('../docs/soak.svg', import.meta.url),
  drawGraph(`A server at ${share * 100} % of a core for ${minutes} minutes while devices come and go`, 'minutes', [
    { name: 'resident memory, MiB', points: samples.map(({ seconds, resident }) => [seconds / 60, resident]) },
    { name: 'JavaScript heap in use, MiB', points: samples.map(({ seconds, heap }) => [seconds / 60, heap]) },
    { name: 'share of a core, %', points: samples.map(({ seconds, cpu }) => [seconds / 60, cpu * 100]) },
    { name: "longest second's work, ms", points: samples.map(({ seconds, longest }) => [seconds / 60, longest]) },
    {
      name: 'writes and connections that wait',
      points: samples.map(({ seconds, waiting }) => [seconds / 60, waiting]),
    },
  ]),
);
