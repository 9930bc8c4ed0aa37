// Rounds by turns: whoever is compared takes its turn in every round, so that a machine that slows down slows all.

import type { Outcome } from './load.ts';
import type { Pinned } from './pinned.ts';

/** One of those compared. */
export interface Contender {
  readonly name: string;
  readonly server: Pick<Pinned, 'cpuSeconds'>;
  readonly load: { run(requests: number): Promise<Outcome> };
}

/** What came of all rounds. */
export interface Result {
  readonly name: string;
  readonly requests: number;
  readonly errors: number;
  /** Of the server, its threads and children. */
  readonly cpuSeconds: number;
  /** Requests per CPU-second of the server: the median of the rounds. */
  readonly perCpuSecond: number;
  /** Requests per second of the clock: the median of the rounds. */
  readonly perSecond: number;
  /** To the first contender in the same round: the median of the rounds, and the least and the greatest. */
  readonly ratio: number;
  readonly ratios: readonly [number, number];
  /** CPU-seconds of the server by seconds that passed: near 1 where its core is what limits. */
  readonly busy: number;
}

interface Round {
  readonly requests: number;
  readonly errors: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** Measures the contenders by turns; the first one is what the others are compared with. */
export async function measure(
  contenders: readonly Contender[],
  { rounds, requests }: { rounds: number; requests: number },
): Promise<Result[]> {
  const measured = contenders.map((): Round[] => []);
  for (const { load } of contenders) await load.run(requests);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, { server, load }] of contenders.entries()) {
      // Its code and data are in the caches of the core again before anything counts.
      await load.run(Math.ceil(requests / 10));
      const before = server.cpuSeconds();
      const outcome = await load.run(requests);
      measured[index]!.push({ ...outcome, cpuSeconds: server.cpuSeconds() - before });
    }
  }
  const reference = measured[0]!.map(speed);
  return contenders.map(({ name }, index) => resultOf(name, measured[index]!, reference));
}

function resultOf(name: string, rounds: readonly Round[], reference: readonly number[]): Result {
  const total = (member: keyof Round) => rounds.reduce((sum, round) => sum + round[member], 0);
  const ratios = rounds.map((round, index) => speed(round) / reference[index]!);
  return {
    name,
    requests: total('requests'),
    errors: total('errors'),
    cpuSeconds: total('cpuSeconds'),
    perCpuSecond: median(rounds.map(speed)),
    perSecond: median(rounds.map(({ requests, seconds }) => requests / seconds)),
    ratio: median(ratios),
    ratios: [Math.min(...ratios), Math.max(...ratios)],
    busy: total('cpuSeconds') / total('seconds'),
  };
}

const speed = ({ requests, cpuSeconds }: Round): number => requests / cpuSeconds;

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1]!;
}

/** Prints a table of results. Throws where there was an error: what was not answered was not measured. */
export function print(title: string, results: readonly Result[]): void {
  console.log(`\n${title}`);
  console.log('requests  CPU-s  per CPU-s  ratio (least–most)  core busy  errors');
  for (const { name, requests, errors, cpuSeconds, perCpuSecond, ratio, ratios, busy } of results) {
    const cells = [
      String(requests).padStart(8),
      cpuSeconds.toFixed(2).padStart(6),
      perCpuSecond.toFixed(0).padStart(10),
      `${ratio.toFixed(2)} (${ratios.map((each) => each.toFixed(2)).join('–')})`.padStart(18),
      `${(busy * 100).toFixed(0)} %`.padStart(10),
      String(errors).padStart(7),
    ];
    console.log(`${cells.join(' ')}  ${name}`);
  }
  refuseErrors(results);
}

/** Prints requests by the clock: what matters where a server waits for another one. Throws as `print` does. */
export function printSpeeds(title: string, results: readonly Result[]): void {
  console.log(`\n${title}`);
  console.log('requests  per second  of the first  core busy');
  for (const { name, requests, perSecond, busy } of results) {
    const cells = [
      String(requests).padStart(8),
      perSecond.toFixed(0).padStart(10),
      (perSecond / results[0]!.perSecond).toFixed(2).padStart(12),
      `${(busy * 100).toFixed(0)} %`.padStart(9),
    ];
    console.log(`${cells.join('  ')}  ${name}`);
  }
  refuseErrors(results);
}

function refuseErrors(results: readonly Result[]): void {
  if (results.some(({ errors }) => errors > 0)) throw new Error('There were errors: these figures count for nothing.');
}
