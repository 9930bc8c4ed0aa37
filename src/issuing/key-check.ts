// The check of all that custody holds: each custodian, a signature by each key, and keys out of anybody's reach.

import { CustodyProblem } from '../custody/custodian.ts';
import type { Db } from '../registry/database.ts';
import { countKeysIn, custodiansInUse } from '../registry/keys.ts';
import type { KeyRow } from '../registry/tables.ts';
import type { KeyCare } from './held-keys.ts';

/** What a check has found; a null problem is good news. */
export interface CustodyCheck<Key extends KeyRow> {
  readonly custodians: { readonly name: string; readonly problem: CustodyProblem | null }[];
  readonly keys: { readonly key: Key; readonly problem: CustodyProblem | null }[];
}

/** Signatures that are asked of one custodian at a time. */
const atOnce = 8;

/**
 * Has every one of these keys sign, and each custodian say how it is. The custodians are asked beside each other, so that
 * one that hangs keeps nobody else waiting; and once it is known that one is away, its other keys are not tried.
 */
export async function checkCustody<Key extends KeyRow>(
  keys: KeyCare,
  rows: readonly Key[],
): Promise<CustodyCheck<Key>> {
  const names = [...new Set([...keys.custodians, ...rows.map(({ custodian }) => custodian)])];
  const checks = names.map(async (name) => {
    const its = rows.filter(({ custodian }) => custodian === name);
    return checkCustodian(keys, name, its);
  });
  const found = await Promise.all(checks);
  const problems = new Map(found.flatMap((each) => [...each.problems]));
  return {
    // A custodian that is not configured shows by its keys alone.
    custodians: found.filter(({ name }) => keys.custodians.includes(name)),
    keys: rows.map((key) => ({ key, problem: problems.get(key) ?? null })),
  };
}

async function checkCustodian<Key extends KeyRow>(
  keys: KeyCare,
  name: string,
  rows: readonly Key[],
): Promise<{ name: string; problem: CustodyProblem | null; problems: Map<Key, CustodyProblem> }> {
  const configured = keys.custodians.includes(name);
  const isAway = async () => (configured ? problemOf(keys.checkCustodian(name)) : null);
  let away = await isAway();
  const problems = new Map<Key, CustodyProblem>();
  const waiting = rows.values();
  const work = async (): Promise<void> => {
    for (const key of waiting) {
      const problem = away ?? (await problemOf(keys.check(key)));
      if (problem === null) continue;
      problems.set(key, problem);
      if (away === null && problem.fault === 'unavailable') away = await isAway();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return { name, problem: away, problems };
}

/** How many keys lie in each custodian that is not configured: nothing can be done with them. */
export async function strandedKeys(db: Db, { custodians }: KeyCare): Promise<ReadonlyMap<string, number>> {
  const counted = new Map<string, number>();
  for (const custodian of await custodiansInUse(db)) {
    if (!custodians.includes(custodian)) counted.set(custodian, await countKeysIn(db, custodian));
  }
  return counted;
}

async function problemOf(check: Promise<void>): Promise<CustodyProblem | null> {
  try {
    await check;
    return null;
  } catch (error) {
    if (error instanceof CustodyProblem) return error;
    throw error;
  }
}
