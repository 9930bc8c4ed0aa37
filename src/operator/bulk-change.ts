// One thing done to every device of a filter: weighed first, then a few hundred devices at a time.

import type { ProblemCode } from '../problem.ts';
import { Problem } from '../problem.ts';
import { type Impact, noDevices, sampleSize } from '../provisioning/impact.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { countFleet, fleetUuids } from '../registry/fleet.ts';
import { devicesAtOnce, type FleetAction, fleetActionStates } from '../registry/fleet-changes.ts';
import type { DeviceFilter } from '../registry/fleet-filter.ts';
import type { Account } from '../registry/tables.ts';

/** What devices would be told from then on. */
const refusals: Readonly<Record<FleetAction, { code: ProblemCode; rule: string } | null>> = {
  suspend: { code: 'device_suspended', rule: 'The device is suspended.' },
  revoke: { code: 'device_revoked', rule: 'The device is revoked.' },
  resume: null,
};

/** Of the devices of a filter those that an action changes: what is in that state already is left as it is. */
function changedBy(action: FleetAction, filter: DeviceFilter): DeviceFilter {
  const { from } = fleetActionStates[action];
  return { ...filter, states: filter.states ? from.filter((state) => filter.states!.includes(state)) : from };
}

/** What an action would change; all of it is to be confirmed. */
export async function weighBulkChange(
  { registry, clock }: Provisioning,
  account: Account,
  action: FleetAction,
  filter: DeviceFilter,
): Promise<Impact> {
  const changed = changedBy(action, filter);
  const counts = await countFleet(registry.read, account.id, { filter: changed, now: clock() });
  const total = (of: readonly { devices: number }[]) => of.reduce((sum, { devices }) => sum + devices, 0);
  const devices = total(counts.kinds);
  const refused = refusals[action] === null ? 0 : total(counts.kinds.filter(({ state }) => state === 'active'));
  const sample = await fleetUuids(registry.read, account.id, { filter: changed, limit: sampleSize });
  return noDevices({
    devices,
    seen_last_day: counts.seen_last_day,
    refused,
    by_rule: refused === 0 ? [] : [{ ...refusals[action]!, devices: refused }],
    confirm: devices,
    sample: sample.map(({ device_id }) => device_id),
  });
}

/**
 * Does it, to `most` devices at most. Each write is whole, so that what was interrupted can be done once more. Throws
 * `confirmation_required` where more devices have come meanwhile than were confirmed; what has been done stays done.
 */
export async function changeFleet(
  { registry }: Pick<Provisioning, 'registry'>,
  account: Account,
  action: FleetAction,
  { filter, most }: { filter: DeviceFilter; most: number },
): Promise<{ changed: number }> {
  let changed = 0;
  for (let after: string | undefined; ;) {
    const page = await fleetUuids(registry.read, account.id, {
      filter: changedBy(action, filter),
      limit: devicesAtOnce,
      after,
    });
    const last = page.at(-1);
    if (!last) return { changed };
    if (changed === most) throw tooMany(changed);
    const uuids = page.slice(0, most - changed).map(({ uuid }) => uuid);
    changed += (await registry.write('changeDevices', { account_id: account.id, action, uuids })).changed;
    if (uuids.length < page.length) throw tooMany(changed);
    after = last.device_id;
  }
}

function tooMany(changed: number): Problem {
  return new Problem(
    'confirmation_required',
    `More devices fit the filter than were confirmed: ${changed} device(s) were changed, the others are as they were.`,
    'Look at the others with ?dry_run=true, and repeat the call with their number.',
    { members: { changed } },
  );
}
