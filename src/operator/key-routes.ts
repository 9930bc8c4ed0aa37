// The keys in custody, of all accounts: listed, checked, moved to another custodian.

import { Type } from 'typebox';
import { checkCustody } from '../issuing/key-check.ts';
import { Problem } from '../problem.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import type { Db } from '../registry/database.ts';
import { keyEvents, type ListedKey, listKeys } from '../registry/keys.ts';
import { formatInstant } from '../time.ts';
import {
  CustodyCheckSchema,
  type KeyJson,
  KeyDetailsSchema,
  KeyPath,
  KeyQuery,
  KeySchema,
  MovedKeySchema,
  NewCheck,
  NewPlace,
} from './key-schemas.ts';
import { rule } from './rule.ts';
import type { Api } from './typed-api.ts';

/** Adds the routes of keys. */
export function keyRoutes(api: Api, { registry, issuer }: Provisioning): void {
  api.get(
    '/custody/keys',
    {
      ...rule('listKeys', 'administrator'),
      schema: { querystring: KeyQuery, response: { 200: Type.Array(KeySchema) } },
    },
    async ({ query: { custodian, account } }) => {
      const all = await listKeys(registry.read);
      if (custodian !== undefined) requireKnown(custodian, issuer.keys.custodians, all);
      const its = account === undefined ? all : all.filter((key) => isOf(key, account));
      if (account !== undefined && its.length === 0) {
        throw new Problem('not_found', `There is no key of an account ${JSON.stringify(account)}.`);
      }
      return its.filter((key) => custodian === undefined || key.custodian === custodian).map(keyJson);
    },
  );

  api.get(
    '/custody/keys/:key',
    { ...rule('getKey', 'administrator'), schema: { params: KeyPath, response: { 200: KeyDetailsSchema } } },
    async ({ params }) => {
      const key = await namedKey(registry.read, params.key);
      const events = await keyEvents(registry.read, key.id);
      return {
        ...keyJson(key),
        events: events.map(({ at, event, custodian }) => ({ at: formatInstant(at), event, custodian })),
      };
    },
  );

  api.post(
    '/custody/check',
    { ...rule('checkCustody', 'administrator'), schema: { body: NewCheck, response: { 200: CustodyCheckSchema } } },
    async ({ body }) => {
      const rows =
        body.key === undefined
          ? (await listKeys(registry.read)).filter((key) => stateOf(key) === 'held')
          : [await namedKey(registry.read, body.key)];
      const { custodians, keys } = await checkCustody(issuer.keys, rows);
      const asked = custodians.filter(({ name }) => body.key === undefined || name === rows[0]?.custodian);
      return {
        ok: [...asked, ...keys].every(({ problem }) => problem === null),
        custodians: asked.map(({ name, problem }) => ({ custodian: name, ...findingJson(problem) })),
        keys: keys.map(({ key, problem }) => ({ ...keyJson(key), ...findingJson(problem) })),
      };
    },
  );

  api.post(
    '/custody/keys/:key/move',
    {
      ...rule('moveKey', 'administrator'),
      schema: { params: KeyPath, body: NewPlace, response: { 200: MovedKeySchema } },
    },
    async ({ params, body: { to, exportable = false } }) => {
      const key = await namedKey(registry.read, params.key);
      await issuer.keys.move(key, to, { exportable });
      return { ...keyJson(await namedKey(registry.read, key.id)), moved_from: key.custodian };
    },
  );
}

/** The key of this ID or public key (SHA-256). Throws `not_found`. */
async function namedKey(db: Db, ref: string): Promise<ListedKey> {
  const [key] = await listKeys(db, ref.toLowerCase());
  if (key) return key;
  throw new Problem('not_found', `There is no key ${JSON.stringify(ref)}.`, '`custody list` shows the keys.');
}

function requireKnown(custodian: string, configured: readonly string[], keys: readonly ListedKey[]): void {
  if (configured.includes(custodian) || keys.some((key) => key.custodian === custodian)) return;
  const known = configured.join(', ');
  throw new Problem('not_found', `There is no custodian ${JSON.stringify(custodian)} here: there are ${known}.`);
}

/** Accounts that are gone are named by their UUID. */
function isOf({ account_id, account_name }: ListedKey, ref: string): boolean {
  return account_name === ref || account_id === ref;
}

function keyJson(key: ListedKey): KeyJson {
  return {
    id: key.id,
    account: key.account_id,
    account_name: key.account_name,
    purpose: key.purpose,
    custodian: key.custodian,
    key_type: key.key_type,
    exportable: key.exportable === 1,
    state: stateOf(key),
    public_key_sha256: key.public_key_sha256,
    created_at: formatInstant(key.created_at),
    used_by: userOf(key),
  };
}

function stateOf({ destroyed_at, erased_at, remembered }: ListedKey): KeyJson['state'] {
  if (destroyed_at !== null) return remembered === null ? 'destroyed' : 'destroying';
  return erased_at === null ? 'held' : 'erased';
}

/** The CA that a key is of. */
function userOf(key: ListedKey): KeyJson['used_by'] {
  if (key.fleet_root_ca_id !== null) {
    const { fleet_root_ca_id: id, fleet_root_ca_name: name, fleet_root_ca_state: state } = key;
    return { kind: 'fleet_root_ca', id, name, state };
  }
  if (key.gateway_ca_id !== null) {
    return { kind: 'gateway_ca', id: key.gateway_ca_id, name: null, state: key.gateway_ca_state };
  }
  if (key.operator_ca_id !== null) return { kind: 'operator_ca', id: key.operator_ca_id, name: null, state: null };
  if (key.provisioning_ca_id === null) return null;
  return { kind: 'provisioning_ca', id: key.provisioning_ca_id, name: null, state: null };
}

function findingJson(problem: (Problem & { readonly fault: string }) | null): {
  fault: string | null;
  reason: string | null;
} {
  return { fault: problem?.fault ?? null, reason: problem?.message ?? null };
}
