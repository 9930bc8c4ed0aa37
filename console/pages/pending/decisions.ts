// Accepting and rejecting what waits, one or many: each is a call of its own, and what fails is told.

import { answerOf, api, deviceName, type Impact } from '../../api/client.ts';
import { texts } from '../../texts.ts';
import type { Waiting } from './waiting.ts';

/** How many calls are under way at once. */
const atOnce = 4;

/** Calls `act` with each, some at a time, and goes on where one fails. Gives what failed, in the order of `rows`. */
async function each(rows: readonly Waiting[], act: (row: Waiting) => Promise<unknown>): Promise<Error[]> {
  const failures: Error[] = [];
  const left = [...rows];
  const work = async (): Promise<void> => {
    for (let row = left.shift(); row !== undefined; row = left.shift()) {
      try {
        await act(row);
      } catch (error) {
        failures.push(error instanceof Error ? error : new Error(String(error)));
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return failures;
}

/** Throws what failed: the refusal itself of one, else how many and the first of them. */
function throwFailures(failures: readonly Error[], count: number): void {
  const [first] = failures;
  if (first === undefined) return;
  if (count === 1) throw first;
  throw new Error(texts.pending.notAll(failures.length, count, first.message));
}

const named = (account: string, { uuid }: Waiting) => ({ account, device: deviceName(uuid) });

/** Accepts them all, and says each that it has. Throws where some could not be; the others are accepted all the same. */
export async function accept(account: string, rows: readonly Waiting[], onDone: (row: Waiting) => void): Promise<void> {
  const failures = await each(rows, async (row) => {
    await answerOf(
      api.POST('/api/v1/accounts/{account}/devices/{device}/approve', { params: { path: named(account, row) } }),
    );
    onDone(row);
  });
  throwFailures(failures, rows.length);
}

/**
 * A rejection of these: what it would touch, and how it is done, with each that it has done said. Those that are done
 * are not done again by a repeat.
 */
export function rejection(account: string, rows: readonly Waiting[], onDone: (row: Waiting) => void) {
  const confirmations = new Map<string, number>();
  const done = new Set<string>();
  const reject = (row: Waiting, query: { dry_run?: boolean; confirm?: number }) =>
    answerOf(
      api.POST('/api/v1/accounts/{account}/devices/{device}/reject', { params: { path: named(account, row), query } }),
    );
  return {
    async preview(): Promise<Impact> {
      const impacts: Impact[] = [];
      const failures = await each(rows, async (row) => {
        const impact = (await reject(row, { dry_run: true })) as Impact;
        confirmations.set(row.uuid, impact.confirm);
        impacts.push(impact);
      });
      throwFailures(failures, rows.length);
      return summedUp(impacts);
    },
    async act(): Promise<void> {
      const left = rows.filter(({ uuid }) => !done.has(uuid));
      const failures = await each(left, async (row) => {
        await reject(row, { confirm: confirmations.get(row.uuid) ?? 0 });
        done.add(row.uuid);
        onDone(row);
      });
      throwFailures(failures, left.length);
    },
  };
}

const sampled = 10;

/** What several of the same act touch together. */
function summedUp(impacts: readonly Impact[]): Impact {
  const sum = (of: (impact: Impact) => number): number => impacts.reduce((before, impact) => before + of(impact), 0);
  const rules = new Map<string, Impact['by_rule'][number]>();
  for (const { code, rule, devices } of impacts.flatMap(({ by_rule }) => by_rule)) {
    const key = `${code} ${rule}`;
    rules.set(key, { code, rule, devices: (rules.get(key)?.devices ?? 0) + devices });
  }
  const other = new Map<string, Impact['other'][number]>();
  for (const { what, count, sample } of impacts.flatMap((impact) => impact.other)) {
    const before = other.get(what);
    other.set(what, {
      what,
      count: (before?.count ?? 0) + count,
      sample: [...(before?.sample ?? []), ...sample].slice(0, sampled),
    });
  }
  const first = (of: (impact: Impact) => string | null): string | null =>
    impacts.map(of).find((said) => said !== null) ?? null;
  return {
    action: impacts[0]?.action ?? '',
    devices: sum(({ devices }) => devices),
    seen_last_day: sum(({ seen_last_day }) => seen_last_day),
    refused: sum(({ refused }) => refused),
    by_rule: [...rules.values()],
    confirm: sum(({ confirm }) => confirm),
    newcomers: first(({ newcomers }) => newcomers),
    unknown: first(({ unknown }) => unknown),
    sample: impacts
      .flatMap(({ sample }) => sample)
      .toSorted()
      .slice(0, sampled),
    other: [...other.values()],
  };
}
