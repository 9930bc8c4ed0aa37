// What lists of devices keep to on every backend: filters, orders, pages that stay right while rows come and go, counts.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import type { Insertable } from 'kysely';
import type { Db } from '../../src/registry/database.ts';
import { deleteDevice, deviceByRef, revokeDevice } from '../../src/registry/devices.ts';
import {
  countFleet,
  type DeviceSort,
  deviceSorts,
  fleetPage,
  type FleetPlace,
  fleetUuids,
} from '../../src/registry/fleet.ts';
import { changeDevices } from '../../src/registry/fleet-changes.ts';
import type { DeviceFilter } from '../../src/registry/fleet-filter.ts';
import { labelNamesOf, setLabels, storeLabels } from '../../src/registry/labels.ts';
import { revokeCertificate } from '../../src/registry/certificates.ts';
import { listDeviceCertificates } from '../../src/registry/certificate-list.ts';
import type { DevicesTable } from '../../src/registry/fleet-tables.ts';
import { backends, type Home, insertRows, rowsOf, transactionOn } from '../support/registry.ts';

const rows = rowsOf('mine');
const account_id = rows.accounts[0]!.id;
const now = 1_800_000_000_000;
const day = 86_400_000;

type NewDevice = Partial<Insertable<DevicesTable>> & { device_id: string };

function device(given: NewDevice): Insertable<DevicesTable> {
  return {
    uuid: `uuid of ${given.device_id}`,
    account_id,
    state: 'active',
    method: 'shared',
    fleet_root_ca_id: 'mine-root',
    provisioning_key_id: 'mine-provisioning-key',
    allowed_root_id: null,
    reprovision_until: null,
    first_seen: 1_000,
    last_seen: null,
    ...given,
  };
}

async function add(db: Db, ...devices: readonly NewDevice[]): Promise<void> {
  for (let at = 0; at < devices.length; at += 500) {
    await db
      .insertInto('devices')
      .values(devices.slice(at, at + 500).map(device))
      .execute();
  }
}

const placeOf = (sort: DeviceSort, row: { device_id: string } & Record<string, unknown>): FleetPlace => ({
  device_id: row.device_id,
  value: sort === 'device_id' ? null : (row[sort] as number | null),
});

/** All devices of a query, page by page; `between` runs after each page. */
async function walk(
  db: Db,
  query: { filter?: DeviceFilter; sort?: DeviceSort; descending?: boolean; limit: number },
  between: (page: number) => Promise<void> = async () => {},
): Promise<string[]> {
  const found: string[] = [];
  for (let after: FleetPlace | undefined, page = 0; ; page += 1) {
    const devices = await fleetPage(db, account_id, { ...query, after });
    found.push(...devices.map(({ device_id }) => device_id));
    const last = devices.at(-1);
    if (!last || devices.length < query.limit) return found;
    after = placeOf(query.sort ?? 'device_id', last);
    await between(page);
  }
}

for (const { name, home: newHome } of backends) {
  describe(`the fleet in a registry on ${name}`, () => {
    let home: Home;
    let db: Db;
    let tx: ReturnType<typeof transactionOn>;

    beforeEach(async () => {
      home = newHome();
      db = await home.database();
      await insertRows(db, rows);
      await insertRows(db, rowsOf('other'));
      await db.deleteFrom('certificates').execute();
      await db.deleteFrom('devices').where('account_id', '=', account_id).execute();
      tx = transactionOn(db);
    });
    afterEach(() => home[Symbol.dispose]());

    const ids = async (filter: DeviceFilter): Promise<string> =>
      (await fleetPage(db, account_id, { filter })).map(({ device_id }) => device_id).join(' ');

    test('each member of a filter narrows the list, alone and together', async () => {
      await add(
        db,
        { device_id: 'a', state: 'pending', method: 'device', provisioning_key_id: null, chain_id: 'mine-chain' },
        { device_id: 'b', last_seen: 5_000, certificate_not_after: 9_000, first_seen: 4_000 },
        { device_id: 'b%', last_seen: 6_000, certificate_not_after: 8_000, state: 'suspended' },
        { device_id: 'c', fleet_root_ca_id: 'mine-root-2', state: 'revoked' },
        { device_id: 'vin-Bü', chain_id: 'other-chain' },
      );
      await storeLabels(db, { account_id, uuid: 'uuid of b' }, '{"batch":"7","vin":"W1"}');
      await storeLabels(db, { account_id, uuid: 'uuid of c' }, '{"batch":"8"}');
      const told: [DeviceFilter, string][] = [
        [{}, 'a b b% c vin-Bü'],
        [{ states: ['pending', 'revoked'] }, 'a c'],
        [{ states: [] }, ''],
        [{ method: 'device' }, 'a'],
        [{ fleet_root_ca_id: 'mine-root-2' }, 'c'],
        [{ fleet_root_ca_id: 'other-root' }, ''],
        [{ intermediate: 'CN=mine' }, 'a'],
        [{ intermediate: 'MINE-INTERMEDIATE-SHA256' }, 'a'],
        [{ intermediate: 'mine-intermediate-key' }, 'a'],
        [{ intermediate: 'CN=other' }, ''],
        [{ provisioning_key_id: 'mine-provisioning-key' }, 'b b% c vin-Bü'],
        [{ labels: [{ name: 'batch', value: '7' }] }, 'b'],
        [{ labels: [{ name: 'batch', value: null }] }, 'b c'],
        [
          {
            labels: [
              { name: 'batch', value: null },
              { name: 'vin', value: 'W1' },
            ],
          },
          'b',
        ],
        [{ labels: [{ name: 'vin', value: 'other-vin' }] }, ''],
        [{ certificate_ends: { before: 9_000 } }, 'b%'],
        [{ certificate_ends: { from: 9_000 } }, 'b'],
        [{ last_seen: { from: 5_000, before: 6_000 } }, 'b'],
        [{ never_seen: true }, 'a c vin-Bü'],
        [{ never_seen: false }, 'b b%'],
        [{ first_seen: { from: 2_000 } }, 'b'],
        [{ prefix: 'b' }, 'b b%'],
        [{ prefix: 'B' }, ''],
        [{ text: 'b' }, 'b b% vin-Bü'],
        [{ text: '%' }, 'b%'],
        [{ text: 'ü', states: ['active'] }, 'vin-Bü'],
        [{ provisioning_key_id: 'mine-provisioning-key', states: ['active', 'suspended'], never_seen: false }, 'b b%'],
      ];
      for (const [filter, expected] of told) assert.equal(await ids(filter), expected, JSON.stringify(filter));
      assert.deepEqual(await labelNamesOf(db, account_id), ['batch', 'vin']);
    });

    test('many devices are walked, few are looked up: both give the same', async () => {
      const many = Array.from({ length: 9_500 }, (_, index) => ({
        device_id: `device ${String(index).padStart(5, '0')}`,
        state: index % 2 ? ('active' as const) : ('suspended' as const),
        fleet_root_ca_id: index % 1_000 === 7 ? 'mine-root-2' : 'mine-root',
        last_seen: index % 3 === 0 ? null : 1_000_000 - (index % 500),
        certificate_not_after: index % 5 === 0 ? null : index % 700,
      }));
      await add(db, ...many);
      for (const sort of deviceSorts) {
        for (const descending of [false, true]) {
          const order = `${sort} ${descending ? 'down' : 'up'}`;
          const all = await walk(db, { sort, descending, limit: 1_777 });
          assert.equal(new Set(all).size, 9_500, order);
          assert.deepEqual(all, ordered(many, sort, descending), order);
          const few = await walk(db, { filter: { fleet_root_ca_id: 'mine-root-2' }, sort, descending, limit: 3 });
          const wanted = many.filter(({ fleet_root_ca_id }) => fleet_root_ca_id === 'mine-root-2');
          assert.deepEqual(few, ordered(wanted, sort, descending), order);
          const half = await walk(db, { filter: { states: ['active'] }, sort, descending, limit: 999 });
          assert.deepEqual(
            half,
            ordered(
              many.filter(({ state }) => state === 'active'),
              sort,
              descending,
            ),
            order,
          );
        }
      }
    });

    test('whatever comes and goes between the pages, what is there all the time is listed once, in its order', async () => {
      const instant = fc.option(fc.integer({ min: 0, max: 6 }), { nil: null });
      const one = fc.record({
        name: fc.integer({ min: 0, max: 60 }),
        last_seen: instant,
        certificate_not_after: instant,
      });
      const some = fc.uniqueArray(one, { selector: ({ name }) => name, maxLength: 25 });
      const step = fc.record({ comes: some, goes: fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 8 }) });
      await fc.assert(
        fc.asyncProperty(
          some,
          fc.array(step, { maxLength: 6 }),
          fc.constantFrom(...deviceSorts),
          fc.boolean(),
          fc.integer({ min: 1, max: 7 }),
          async (first, steps, sort, descending, limit) => {
            await db.deleteFrom('devices').where('account_id', '=', account_id).execute();
            const present = new Map<string, NewDevice>();
            const come = async (devices: typeof first) => {
              const fresh = devices.map(({ name, ...row }) => ({ device_id: `d${name}`, ...row }));
              const missing = fresh.filter(({ device_id }) => !present.has(device_id));
              await add(db, ...missing);
              for (const row of missing) present.set(row.device_id, row);
            };
            await come(first);
            const always = new Map(present);
            const ever = new Set(present.keys());
            const found = await walk(db, { sort, descending, limit }, async (page) => {
              const { comes = [], goes = [] } = steps[page] ?? {};
              for (const gone of goes.map((index) => `d${index}`)) {
                await db
                  .deleteFrom('devices')
                  .where('account_id', '=', account_id)
                  .where('device_id', '=', gone)
                  .execute();
                present.delete(gone);
                always.delete(gone);
              }
              await come(comes);
              for (const id of present.keys()) ever.add(id);
            });
            const steady = found.filter((id) => always.has(id));
            assert.deepEqual(steady, ordered([...always.values()], sort, descending));
            assert.ok(found.every((id) => ever.has(id)));
          },
        ),
        { numRuns: 60 },
      );
    });

    test('counts are those of the list', async () => {
      await add(
        db,
        { device_id: 'a', last_seen: now - 1, certificate_not_after: now - 1 },
        { device_id: 'b', last_seen: now - 2 * day, certificate_not_after: now + day, state: 'suspended' },
        { device_id: 'c', certificate_not_after: now + 40 * day, method: 'device', provisioning_key_id: null },
      );
      const sum = async (filter?: DeviceFilter) => {
        const counts = await countFleet(db, account_id, { now, ...(filter && { filter }) });
        const devices = counts.kinds.reduce((all, each) => all + each.devices, 0);
        return [devices, counts.seen_last_day, counts.never_seen, counts.expired, counts.expiring];
      };
      assert.deepEqual(await sum(), [3, 1, 1, 1, 1]);
      assert.deepEqual(await sum({ states: ['suspended'] }), [1, 0, 0, 0, 1]);
      assert.deepEqual(await sum({ prefix: 'none' }), [0, 0, 0, 0, 0]);
    });

    test('what nobody waits for any more is counted and listed no further', async () => {
      await add(db, ...Array.from({ length: 9_500 }, (_, index) => ({ device_id: `device ${index}` })));
      const filter = { text: 'device' };
      const counted = async (gone: AbortSignal) =>
        (await countFleet(db, account_id, { filter, now, gone })).kinds.reduce((all, { devices }) => all + devices, 0);
      assert.equal(await counted(new AbortController().signal), 9_500);
      assert.ok((await counted(AbortSignal.abort())) < 9_500);
      const listed = await fleetPage(db, account_id, { filter, limit: 9_500, gone: AbortSignal.abort() });
      assert.ok(listed.length < 9_500);
    });

    test('the database counts devices as they come, change and go, and a filter that lets all through finds as many', async () => {
      const kinds = async (filter?: DeviceFilter) =>
        (await countFleet(db, account_id, { now, ...(filter && { filter }) })).kinds
          .map(
            ({ state, method, provisioning_key_id, devices }) => `${state} ${method} ${provisioning_key_id} ${devices}`,
          )
          .toSorted();
      const all = { first_seen: { from: 0 } };
      assert.deepEqual(await kinds(), await kinds(all));
      await add(db, { device_id: 'a' }, { device_id: 'b', method: 'device', provisioning_key_id: null });
      await add(db, { device_id: 'c' }, { device_id: 'd' });
      assert.deepEqual(await kinds(), await kinds(all));
      await changeDevices(tx, { account_id, action: 'suspend', uuids: ['uuid of a', 'uuid of b'] });
      await revokeDevice(tx, { account_id, device: 'c' });
      await deleteDevice(tx, { account_id, device: 'd' });
      assert.deepEqual(await kinds(), await kinds(all));
      assert.ok((await kinds()).includes('suspended device null 1'), 'the one that no provisioning key has made');
    });

    test('many devices are changed at once: each is told of and noted, and none that is not fit', async () => {
      await add(db, { device_id: 'a' }, { device_id: 'b', state: 'pending' }, { device_id: 'c', state: 'revoked' });
      await insertCertificate('a', 'current', 9_000);
      const uuids = ['uuid of a', 'uuid of b', 'uuid of c', 'other-device'];
      assert.deepEqual(await changeDevices(tx, { account_id, action: 'suspend', uuids }), { changed: 1 });
      assert.deepEqual(await changeDevices(tx, { account_id, action: 'revoke', uuids }), { changed: 2 });
      assert.deepEqual(await changeDevices(tx, { account_id, action: 'revoke', uuids }), { changed: 0 });
      assert.deepEqual(await changeDevices(tx, { account_id, action: 'resume', uuids }), { changed: 0 });
      const told = tx.changes.map((change) => 'device_uuid' in change && change.device_uuid);
      assert.deepEqual(told, ['uuid of a', 'uuid of a', 'uuid of b']);
      assert.deepEqual(
        tx.notes.map(({ action, object }) => `${action} ${object.name}`),
        ['device.suspend a', 'device.revoke a', 'device.revoke b'],
      );
      const { certificate_not_after } = await deviceByRef(db, account_id, 'a');
      assert.equal(certificate_not_after, null);
      const [certificate] = await listDeviceCertificates(db, account_id);
      assert.equal(certificate?.state, 'revoked');
      const { state } = await deviceByRef(db, 'other-account', 'uuid:other-device');
      assert.equal(state, 'active');
    });

    test('a device knows when its present certificate ends, also after that one is revoked', async () => {
      await add(db, { device_id: 'a', certificate_not_after: 9_000 });
      await insertCertificate('a', 'current', 9_000);
      await insertCertificate('a', 'current', 8_000);
      await revokeCertificate(tx, { account_id, sha256: 'tbs a 9000' });
      assert.equal((await deviceByRef(db, account_id, 'a')).certificate_not_after, 8_000);
      await revokeDevice(tx, { account_id, device: 'a' });
      assert.equal((await deviceByRef(db, account_id, 'a')).certificate_not_after, null);
    });

    test('certificates are listed in the order in which they end, page by page', async () => {
      await add(db, { device_id: 'a' });
      for (const [index, state] of (['current', 'superseded', 'revoked', 'intended'] as const).entries()) {
        await insertCertificate('a', state, 9_000 - index);
      }
      const list = async (given: Parameters<typeof listDeviceCertificates>[2]) =>
        (await listDeviceCertificates(db, account_id, given)).map(({ not_after }) => not_after);
      assert.deepEqual(await list({}), [8_998, 8_999, 9_000]);
      assert.deepEqual(await list({ limit: 1, after: { not_after: 8_998, tbs_sha256: 'tbs a 8998' } }), [8_999]);
      assert.deepEqual(await list({ filter: { states: ['current', 'revoked'] } }), [8_998, 9_000]);
      assert.deepEqual(await list({ filter: { ends: { from: 8_999, before: 9_000 } } }), [8_999]);
      assert.deepEqual(await list({ filter: { sha256: 'TBS A 9000' } }), [9_000]);
      assert.deepEqual(await list({ filter: { fleet_root_ca_id: 'mine-root-2' } }), []);
    });

    test('labels are set and taken away, shown and found', async () => {
      await add(db, { device_id: 'a' });
      await setLabels(tx, { account_id, device: 'a', labels: { vin: 'W1', batch: '7' } });
      const { labels } = await setLabels(tx, { account_id, device: 'a', labels: { batch: null, line: '2' } });
      assert.equal(labels, '{"line":"2","vin":"W1"}');
      assert.equal(await ids({ labels: [{ name: 'batch', value: null }] }), '');
      assert.equal(await ids({ labels: [{ name: 'line', value: '2' }] }), 'a');
      assert.equal(tx.notes.length, 2);
      const many = Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`l${index}`, 'x']));
      await assert.rejects(setLabels(tx, { account_id, device: 'a', labels: many }), /16 labels at most/);
      assert.deepEqual(
        (await fleetUuids(db, account_id, { filter: {}, limit: 5 })).map((row) => row.device_id),
        ['a'],
      );
    });

    async function insertCertificate(
      device_id: string,
      state: 'current' | 'superseded' | 'revoked' | 'intended',
      not_after: number,
    ) {
      const tbs_sha256 = `tbs ${device_id} ${not_after}`;
      await db
        .insertInto('certificates')
        .values({ ...rows.certificates[0]!, tbs_sha256, state, not_after, device_uuid: `uuid of ${device_id}` })
        .execute();
    }
  });
}

/** The IDs of devices in an order, as the lists are to have them. */
function ordered(devices: readonly NewDevice[], sort: DeviceSort, descending: boolean): string[] {
  const value = (row: NewDevice): number => {
    if (sort === 'device_id' || sort === 'first_seen') return 0;
    return row[sort] ?? -1;
  };
  const sorted = devices.toSorted(
    (one, other) =>
      value(one) - value(other) || Buffer.compare(Buffer.from(one.device_id), Buffer.from(other.device_id)),
  );
  return (descending ? sorted.toReversed() : sorted).map(({ device_id }) => device_id);
}
