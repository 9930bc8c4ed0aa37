// The filter of devices as an operator writes it: names looked up, instants and labels read.

import { Problem } from '../problem.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import type { DeviceFilter, Span } from '../registry/fleet-filter.ts';
import { requireProvisioningKey } from '../registry/provisioning-keys.ts';
import type { Account } from '../registry/tables.ts';
import type { DeviceFilterJson } from './fleet-schemas.ts';
import { readQueryInstant } from './inputs.ts';
import { namedFleetRootCa } from './named.ts';

/** Reads a filter. Throws `invalid_request`, and `not_found` for a Fleet Root CA or provisioning key that is none. */
export async function readDeviceFilter(
  p: Provisioning,
  account: Account,
  given: DeviceFilterJson,
): Promise<DeviceFilter> {
  const ca = given.fleet_root_ca === undefined ? null : await namedFleetRootCa(p, account, given.fleet_root_ca);
  const { provisioning_key } = given;
  if (provisioning_key !== undefined) await requireProvisioningKey(p.registry.read, account.id, provisioning_key);
  return {
    states: given.state,
    method: given.method,
    fleet_root_ca_id: ca?.id,
    intermediate: given.intermediate,
    provisioning_key_id: provisioning_key,
    labels: given.label?.map(readLabel),
    certificate_ends: spanOf(given, 'certificate_expires'),
    last_seen: spanOf(given, 'last_seen'),
    never_seen: given.never_seen,
    first_seen: spanOf(given, 'first_seen'),
    prefix: given.prefix,
    text: given.text,
  };
}

/** A label in a filter: `name:value`, or a name. Neither may be empty. */
function readLabel(text: string): { name: string; value: string | null } {
  const colon = text.indexOf(':');
  const name = colon === -1 ? text : text.slice(0, colon);
  const value = colon === -1 ? null : text.slice(colon + 1);
  if (name !== '' && value !== '') return { name, value };
  throw new Problem('invalid_request', 'label is to be a name and its value, such as vin:WDB123, or a name alone.');
}

type Spans = 'certificate_expires' | 'last_seen' | 'first_seen';

function spanOf(given: DeviceFilterJson, name: Spans): Span | undefined {
  const after = given[`${name}_after`];
  const before = given[`${name}_before`];
  if (after === undefined && before === undefined) return undefined;
  return {
    from: after === undefined ? undefined : readQueryInstant(`${name}_after`, after),
    before: before === undefined ? undefined : readQueryInstant(`${name}_before`, before),
  };
}
