// Refusals as events tell of them: gathered by account and code, so that a flood of them is one event a minute.

import type { Tx } from './database.ts';
import type { RefusalTalliesTable } from './event-tables.ts';
import type { RefusalRecord } from './tables.ts';

/** What an event tells of a refusal. Its account is empty where it belongs to none. */
type Tallied = Pick<RefusalRecord, 'account_id' | 'code' | 'rule' | 'at' | 'device_id'> &
  Partial<Pick<RefusalRecord, 'first_at' | 'count'>>;

/** How long after an event of an account and code the next one is at the earliest, in milliseconds. */
const quiet = 60 * 1000;
/** Device IDs that an event names; it says how many refusals there were, and `refusal list` which. */
const mostNamed = 10;

/**
 * Adds refusals to what is to be told of their accounts; the first of a code after a minute without one is told at once,
 * the others by `tellRefusals`.
 */
export async function tallyRefusals(tx: Tx, { refusals }: { refusals: readonly Tallied[] }): Promise<void> {
  const gathered = new Map<string, RefusalTalliesTable>();
  for (const refused of refusals) {
    const key = `${refused.account_id}:${refused.code}`;
    const tally = gathered.get(key) ?? (await tallyOf(tx, refused));
    gathered.set(key, add(tally, refused));
  }
  for (const tally of gathered.values()) await settle(tx, tally);
}

/** Tells of the refusals that have waited for a minute to pass. */
export async function tellRefusals(tx: Tx, _args: Record<string, never>): Promise<void> {
  const waiting = await tx.db
    .selectFrom('refusal_tallies')
    .selectAll()
    .where('count', '>', 0)
    .where('told_at', '<=', tx.now - quiet)
    .limit(1_000)
    .execute();
  for (const tally of waiting) await settle(tx, tally);
}

async function tallyOf(tx: Tx, { account_id, code, rule, at, first_at = at }: Tallied): Promise<RefusalTalliesTable> {
  const known = await tx.db
    .selectFrom('refusal_tallies')
    .selectAll()
    .where('account_id', '=', account_id)
    .where('code', '=', code)
    .executeTakeFirst();
  return known ?? { account_id, code, rule, told_at: 0, count: 0, first_at, last_at: at, device_ids: '[]' };
}

function add(
  tally: RefusalTalliesTable,
  { rule, at, first_at = at, count = 1, device_id }: Tallied,
): RefusalTalliesTable {
  const named = JSON.parse(tally.device_ids) as string[];
  if (device_id !== null && named.length < mostNamed && !named.includes(device_id)) named.push(device_id);
  return {
    ...tally,
    rule,
    count: tally.count + count,
    first_at: tally.count === 0 ? first_at : Math.min(tally.first_at, first_at),
    last_at: Math.max(tally.last_at, at),
    device_ids: JSON.stringify(named),
  };
}

async function settle(tx: Tx, tally: RefusalTalliesTable): Promise<void> {
  const { account_id, code, rule, count, first_at, last_at, device_ids } = tally;
  // The clock may have been set back meanwhile.
  const due = tally.told_at <= tx.now - quiet || tally.told_at > tx.now;
  if (due) {
    tx.event({
      type: 'device.refused',
      account_id: account_id || null,
      data: {
        code,
        rule,
        count,
        first_at: new Date(first_at).toISOString(),
        last_at: new Date(last_at).toISOString(),
        device_ids: JSON.parse(device_ids) as string[],
      },
    });
  }
  const kept = due ? { ...tally, told_at: tx.now, count: 0, device_ids: '[]' } : tally;
  const { account_id: _account, code: _code, ...set } = kept;
  await tx.db
    .insertInto('refusal_tallies')
    .values(kept)
    .onConflict((conflict) => conflict.columns(['account_id', 'code']).doUpdateSet(set))
    .execute();
}
