// What the records of accounts, keys, CAs, trust, refusals and lists keep to, on every backend.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Problem } from '../../src/problem.ts';
import { accountFilesOf, removeAccountFile, setAccountFile } from '../../src/registry/account-files.ts';
import {
  removeAccount,
  removeRowsOfAccount,
  removedAccounts,
  removeUnreadyAccounts,
} from '../../src/registry/account-removal.ts';
import {
  accountByRef,
  accountOfHost,
  addHost,
  hostsOf,
  insertAccount,
  listAccounts,
  readyAccount,
  removeHost,
  setPolicy,
} from '../../src/registry/accounts.ts';
import { allowListOf, importAllowList, isAllowed, removeFromAllowList } from '../../src/registry/allow-list.ts';
import { type Db, prepared } from '../../src/registry/database.ts';
import {
  addFleetRootCa,
  addFleetRootCertificates,
  distrustKey,
  fleetRootCaByRef,
  setFleetRootState,
  setSuccessor,
  trustKey,
  trustOf,
} from '../../src/registry/fleet-root-cas.ts';
import {
  gatewayCasOf,
  gatewayCertificateOf,
  gatewayCertificatesDue,
  recordGatewayCa,
  recordGatewayCertificate,
  switchGatewayCa,
} from '../../src/registry/gateway-cas.ts';
import { condemnedKeys, forgetKey, heldKeys, keyById } from '../../src/registry/keys.ts';
import { listRefusals, recordRefusals } from '../../src/registry/refusals.ts';
import { createOperator, deleteOperator, resetOperator } from '../../src/registry/operators.ts';
import { reportsOf, storeReport } from '../../src/registry/reports.ts';
import { narrowingsOf, recordTrustSet, trustSetsFrom } from '../../src/registry/trust-sets.ts';
import { setUpstreams, upstreamsOf } from '../../src/registry/upstreams.ts';
import { backends, type Home, insertRows, type Rows, rowsOf, someAccount, transactionOn } from '../support/registry.ts';

const rows = rowsOf('mine');
const account_id = rows.accounts[0]!.id;

async function rejects(promise: Promise<unknown>, code: Problem['code']): Promise<void> {
  await assert.rejects(promise, (error) => error instanceof Problem && error.code === code);
}

for (const { name, home: newHome } of backends) {
  describe(`the records of a registry on ${name}`, () => {
    let home: Home;
    let db: Db;
    let tx: ReturnType<typeof transactionOn>;

    beforeEach(async () => {
      home = newHome();
      db = await home.database();
      await insertRows(db, rows);
      tx = transactionOn(db);
    });
    afterEach(() => home[Symbol.dispose]());

    test('the owners of an account make so many operators, until an administrator has reset or deleted some', async () => {
      const make = (id: string, made_for: string | null = account_id) =>
        createOperator(tx, { id, name: id, administrator: false, password: null, invitation: null, made_for });
      for (let made = 0; made < 100; made += 1) await make(`made-${made}`);
      await rejects(make('one-more'), 'conflict');
      await make('of-another-account', 'other');
      await make('of-an-administrator', null);
      await resetOperator(tx, { id: 'made-0', invitation: { secret_sha256: 'sha256', expires_at: tx.now + 1 } });
      await make('one-more');
      await rejects(make('and-one-more'), 'conflict');
      await deleteOperator(tx, { id: 'made-1' });
      await make('and-one-more');
    });

    test('a removed account leaves nothing but the keys that were held for it, to be destroyed, and what was said of it', async () => {
      await insertRows(db, rowsOf('other'));
      await removeAccount(tx, { account_id });
      for (const table of Object.keys(rows) as (keyof Rows)[]) {
        if (['accounts', 'keys', 'key_events', 'key_copies', 'audit_entries', 'events'].includes(table)) continue;
        const left = await db.selectFrom(table).select('account_id').execute();
        assert.ok(left.length > 0 && left.every((row) => row.account_id === 'other-account'), table);
      }
      const key = await keyById(db, 'mine-key');
      assert.deepEqual([key?.remembered, key?.destroyed_at], [rows.keys[0]!.remembered, tx.now]);
      assert.deepEqual(await condemnedKeys(db), [key]);
      await forgetKey(tx, { key_id: 'mine-key' });
      assert.deepEqual(await condemnedKeys(db), []);
      assert.ok((await heldKeys(db, ['mine-key-sha256', 'unknown'])).has('mine-key-sha256'));
      assert.deepEqual(tx.changes[0], { kind: 'account', account_id });
      await rejects(removeAccount(tx, { account_id }), 'not_found');
    });

    test('an account of many devices is gone for everybody at once, its rows by calls that take some rows each', async () => {
      const [device] = rows.devices;
      for (let made = 0; made < 1_200; made += 1) {
        const fresh = { ...device!, uuid: `uuid ${made}`, device_id: `many ${made}` };
        await db.insertInto('devices').values(fresh).execute();
      }
      await rejects(removeAccount(tx, { account_id, most_devices: 1_200 }), 'confirmation_required');
      const { name } = await removeAccount(tx, { account_id, most_devices: 1_201 });
      assert.equal(await accountByRef(db, name), undefined);
      assert.equal(await accountOfHost(db, 'mine.gateway.localhost'), undefined);
      await rejects(readyAccount(tx, { account_id }), 'not_found');
      assert.equal(await db.selectFrom('tokens').select('id').executeTakeFirst(), undefined);
      // The name and the host are free again meanwhile.
      const { created_at, ready_at, ...account } = someAccount('another');
      await insertAccount(tx, { account: { ...account, name }, host: 'mine.gateway.localhost' });
      assert.deepEqual(await removedAccounts(db), [account_id]);
      let calls = 1;
      while ((await removeRowsOfAccount(tx, { account_id })).left) calls += 1;
      assert.ok(calls > 1, `${calls} calls`);
      assert.equal(await db.selectFrom('devices').select('uuid').executeTakeFirst(), undefined);
      assert.deepEqual(await removedAccounts(db), []);
      assert.deepEqual(await removeRowsOfAccount(tx, { account_id }), { left: false });
      assert.equal((await removeRowsOfAccount(tx, { account_id: 'another' })).left, false);
      assert.equal((await accountOfHost(db, 'mine.gateway.localhost')) ?? null, null);
      await readyAccount(tx, { account_id: 'another' });
      assert.equal((await accountOfHost(db, 'mine.gateway.localhost'))?.id, 'another');
    });

    test('an account is seen from outside only when its CAs are made, and is gone if they never were', async () => {
      const { created_at, ready_at, ...account } = someAccount('new');
      const host = 'new.gateway.localhost';
      await insertAccount(tx, { account, host });
      assert.equal(await accountByRef(db, 'new-name'), undefined);
      assert.equal(await accountOfHost(db, host), undefined);
      assert.deepEqual(
        (await listAccounts(db)).map((each) => each.id),
        [account_id],
      );
      await readyAccount(tx, { account_id: 'new' });
      assert.equal((await accountByRef(db, 'new-name'))?.id, 'new');
      assert.equal((await accountByRef(db, 'new'))?.id, 'new');
      assert.equal((await accountOfHost(db, host))?.id, 'new');

      await insertAccount(tx, { account: { ...account, id: 'half', name: 'half' }, host: 'half.gateway.localhost' });
      assert.deepEqual(
        (await removeUnreadyAccounts(tx, { before: Number.MAX_SAFE_INTEGER })).map((each) => each.id),
        ['half'],
      );
      await insertAccount(tx, { account: { ...account, id: 'half', name: 'half' }, host: 'half.gateway.localhost' });
    });

    test('a name belongs to one account and a host to one account, added or generated', async () => {
      const { created_at, ready_at, ...account } = someAccount('new');
      await rejects(insertAccount(tx, { account: { ...account, name: 'mine-account-name' }, host: 'x' }), 'name_taken');
      await rejects(addHost(tx, { account_id, host: 'mine.gateway.localhost' }), 'host_taken');
      await insertAccount(tx, { account, host: 'new.gateway.localhost' });
      await rejects(addHost(tx, { account_id: 'new', host: 'mine.example' }), 'host_taken');
      await removeHost(tx, { account_id, host: 'mine.example' });
      await addHost(tx, { account_id: 'new', host: 'mine.example' });
      await rejects(removeHost(tx, { account_id: 'new', host: 'new.gateway.localhost' }), 'conflict');
      await rejects(removeHost(tx, { account_id: 'new', host: 'nowhere.example' }), 'not_found');
      assert.deepEqual(
        (await hostsOf(db, 'new')).map((row) => [row.host, row.kind]),
        [
          ['new.gateway.localhost', 'generated'],
          ['mine.example', 'added'],
        ],
      );
    });

    test('a policy changes in the members given and in no other', async () => {
      const before = rows.accounts[0]!;
      assert.deepEqual(await setPolicy(tx, { account_id }), before);
      assert.deepEqual(await setPolicy(tx, { account_id, ...{ kind: 'production', id: 'new' } }), before);
      assert.deepEqual(tx.changes, []);
      assert.deepEqual(
        await setPolicy(tx, { account_id, rekey: undefined, admission: 'approval', device_id_pattern: 'a+' }),
        {
          ...before,
          admission: 'approval',
          device_id_pattern: 'a+',
        },
      );
      assert.deepEqual(tx.changes, [{ kind: 'account', account_id }]);
    });

    test('a key that is forgotten stays known as one that was held, and keeps the time of its end', async () => {
      await forgetKey(tx, { key_id: 'mine-key' });
      const again = await forgetKey(transactionOn(db, tx.now + 1), { key_id: 'mine-key' });
      assert.deepEqual([again.remembered, again.destroyed_at], [null, tx.now]);
      assert.deepEqual(await heldKeys(db, ['mine-key-sha256']), new Set(['mine-key-sha256']));
      assert.deepEqual(await heldKeys(db, []), new Set());
    });

    test('a gateway certificate and a provisioning key have keys that are held too; a device has not', async () => {
      const [certificate] = await db.selectFrom('certificates').selectAll().execute();
      const key = certificate!.public_key_sha256;
      for (const profile of ['device', 'gateway', 'provisioning_key']) {
        await db.updateTable('certificates').set({ profile }).where('public_key_sha256', '=', key).execute();
        assert.equal((await heldKeys(db, [key])).has(key), profile !== 'device', profile);
      }
    });

    test('the gateway CA on standby becomes the active one, once, until there is another', async () => {
      const { active, retired } = await switchGatewayCa(tx, { account_id });
      assert.deepEqual([active.id, active.state], ['mine-standby-gateway-ca', 'active']);
      assert.deepEqual([retired?.id, retired?.state], ['mine-gateway-ca', 'retired']);
      await recordGatewayCa(tx, { ...rows.gateway_cas[1]!, id: 'next' });
      assert.deepEqual(
        (await gatewayCasOf(db, account_id)).map((ca) => ca.state),
        ['active', 'retired', 'standby'],
      );
      await assert.rejects(recordGatewayCa(tx, { ...rows.gateway_cas[1]!, id: 'a second standby' }));
    });

    test('without a standby nothing is switched', async () => {
      const registry = await home.open();
      await registry.write('switchGatewayCa', { account_id });
      const before = await gatewayCasOf(registry.read, account_id);
      await rejects(registry.write('switchGatewayCa', { account_id }), 'conflict');
      assert.deepEqual(await gatewayCasOf(registry.read, account_id), before);
      await registry[Symbol.asyncDispose]();
    });

    test('a new gateway certificate takes the place of the one before, key and all', async () => {
      const { created_at, ...row } = rows.gateway_certificates[0]!;
      const due = (before: number) => gatewayCertificatesDue(db, before, { after: null, limit: 10 });
      assert.equal((await due(row.not_after + 1)).length, 1);
      await recordGatewayCertificate(tx, { ...row, id: 'next', not_after: 100 });
      assert.equal((await gatewayCertificateOf(db, account_id))?.id, 'next');
      assert.deepEqual(await due(100), []);
      const [last] = await due(101);
      assert.equal(last?.id, 'next');
      assert.deepEqual(await gatewayCertificatesDue(db, 101, { after: last, limit: 10 }), []);
      const left = await db.selectFrom('gateway_certificates').select('id').execute();
      assert.deepEqual(left, [{ id: 'next' }]);
    });

    test('a Fleet Root CA is found by its ID, its name, or the SHA-256 of its own certificate in any spelling', async () => {
      await addFleetRootCertificates(tx, {
        account_id,
        fleet_root_ca_id: 'mine-root',
        rows: [
          { ...rows.fleet_root_certificates[0]!, sha256: 'ab12cd' },
          { ...rows.fleet_root_certificates[0]!, sha256: 'eeff', role: 'intermediate' },
        ],
      });
      for (const ref of ['mine-root', 'mine-root-name', 'ab12cd', 'AB:12:CD']) {
        assert.equal((await fleetRootCaByRef(db, account_id, ref))?.id, 'mine-root', ref);
      }
      for (const ref of ['eeff', 'mine-account', '']) {
        assert.equal(await fleetRootCaByRef(db, account_id, ref), undefined, ref);
      }
    });

    test('a Fleet Root CA is added once for each name, each subject with its key, and each certificate', async () => {
      const ca = { ...rows.fleet_root_cas[0]!, kind: 'registered', key_id: null, id: 'new', name: 'new' } as const;
      const anchor = rows.fleet_root_certificates[0]!;
      const public_key_sha256 = 'new-key';
      await rejects(addFleetRootCa(tx, { ca, certificates: [] }), 'conflict');
      await rejects(
        addFleetRootCa(tx, { ca: { ...ca, public_key_sha256, name: 'mine-root-name' }, certificates: [] }),
        'name_taken',
      );
      await rejects(addFleetRootCa(tx, { ca: { ...ca, public_key_sha256 }, certificates: [anchor] }), 'conflict');
    });

    test('a renewed certificate joins its Fleet Root CA, and the same one again changes nothing', async () => {
      const renewed = { ...rows.fleet_root_certificates[0]!, sha256: 'renewed' };
      const fleet_root_ca_id = 'mine-root';
      const args = { account_id, fleet_root_ca_id, rows: [renewed, rows.fleet_root_certificates[0]!] };
      const added = await addFleetRootCertificates(tx, args);
      assert.deepEqual(
        added.map((row) => row.sha256),
        ['renewed'],
      );
      assert.deepEqual(tx.changes, [{ kind: 'trust', account_id }]);
      assert.deepEqual(await addFleetRootCertificates(tx, args), []);
      assert.equal(tx.changes.length, 1);
      await rejects(addFleetRootCertificates(tx, { ...args, fleet_root_ca_id: 'nowhere' }), 'not_found');
    });

    test('no Fleet Root CA is registered whose key is or was held here, for whichever account', async () => {
      const ca = {
        ...rows.fleet_root_cas[0]!,
        id: 'new',
        account_id: 'customer',
        name: 'new',
        kind: 'registered',
        key_id: null,
        public_key_sha256: 'mine-key-sha256',
      } as const;
      await db.insertInto('accounts').values(someAccount('customer', 'production')).execute();
      await rejects(addFleetRootCa(tx, { ca, certificates: [] }), 'key_held_by_server');
      await removeAccount(tx, { account_id });
      await rejects(addFleetRootCa(tx, { ca, certificates: [] }), 'key_held_by_server');
      await addFleetRootCa(tx, { ca: { ...ca, public_key_sha256: 'their own' }, certificates: [] });
    });

    test('a production account is given no generated Fleet Root CA', async () => {
      await db.insertInto('accounts').values(someAccount('production', 'production')).execute();
      const ca = { ...rows.fleet_root_cas[0]!, id: 'new', account_id: 'production' };
      await rejects(addFleetRootCa(tx, { ca, certificates: [] }), 'provisioning_not_offered');
    });

    test('what an account trusts says states, successors and distrusted keys, and tells of every change', async () => {
      await setFleetRootState(tx, { account_id, fleet_root_ca_id: 'mine-root', state: 'closed' });
      await setSuccessor(tx, { account_id, old_id: 'mine-root', new_id: 'mine-root-2' });
      await rejects(setSuccessor(tx, { account_id, old_id: 'mine-root', new_id: 'mine-root' }), 'conflict');
      await rejects(setSuccessor(tx, { account_id, old_id: 'mine-root', new_id: 'nowhere' }), 'not_found');
      for (const certificate of [new Uint8Array(1), new Uint8Array(2)]) {
        await distrustKey(tx, { account_id, public_key_sha256: 'rogue', certificate });
      }
      await trustKey(tx, { account_id, public_key_sha256: 'mine-distrusted' });
      await rejects(trustKey(tx, { account_id, public_key_sha256: 'mine-distrusted' }), 'not_found');
      const trust = await trustOf(db, account_id);
      assert.deepEqual(
        trust.fleet_root_cas.map((ca) => [ca.id, ca.state, ca.successor_id]),
        [
          ['mine-root', 'closed', 'mine-root-2'],
          ['mine-root-2', 'active', 'mine-root'],
        ],
      );
      assert.deepEqual(
        trust.distrusted_keys.map((row) => row.public_key_sha256),
        ['rogue'],
      );
      assert.equal(trust.provisioning_ca?.id, 'mine-provisioning-ca');
      assert.deepEqual(
        tx.changes.map((change) => change.kind),
        ['trust', 'trust', 'trust', 'trust', 'trust'],
      );
    });

    test('a signed set takes the place of what claims its number or a later one, and settles what was narrowed', async () => {
      const narrowing = { ...rows.narrowings[0]!, id: 'another' };
      await setFleetRootState(tx, { account_id, fleet_root_ca_id: 'mine-root', state: 'disabled', narrowing });
      const set = { account_id, number: 2, document: new Uint8Array(3), signature: new Uint8Array(4) };
      await recordTrustSet(tx, { ...set, settled: ['mine-narrowing'] });
      await recordTrustSet(tx, { ...set, number: 4, settled: [] });
      await recordTrustSet(tx, { ...set, number: 3, settled: [] });
      assert.deepEqual(
        (await trustSetsFrom(db, account_id, 1)).map(({ number, document, accepted_at }) => [
          number,
          document.length,
          accepted_at === tx.now,
        ]),
        [
          [3, 3, true],
          [2, 3, true],
          [1, rows.trust_sets[0]!.document.length, false],
        ],
      );
      assert.deepEqual(
        (await narrowingsOf(db, account_id, 10)).map(({ id }) => id),
        ['another'],
      );
    });

    test('the same refusal again adds to its count and comes to the top, with what it showed last', async () => {
      const { id, first_at, count, ...refused } = rows.refusals[0]!;
      const again = { ...refused, at: 50, address: '192.0.2.7' };
      const otherwise = { ...refused, sameness: 'otherwise', at: 20 };
      await recordRefusals(tx, { refusals: [otherwise, again, { ...again, at: 60 }], limit: 10 });
      const listed = await listRefusals(db, account_id);
      assert.deepEqual(
        listed.map((row) => [row.sameness, row.count, row.first_at, row.at, row.address]),
        [
          ['mine-sameness', 3, 1, 60, '192.0.2.7'],
          ['otherwise', 1, 20, 20, null],
        ],
      );
    });

    test('a refusal that stands for several counts as many, and keeps when the first of all was', async () => {
      const { id, first_at, count, ...refused } = rows.refusals[0]!;
      const storm = { ...refused, first_at: 40, at: 50, count: 7 };
      await recordRefusals(tx, { refusals: [storm, { ...storm, sameness: 'otherwise', at: 49 }], limit: 10 });
      const listed = await listRefusals(db, account_id);
      assert.deepEqual(
        listed.map((row) => [row.sameness, row.count, row.first_at, row.at]),
        [
          ['mine-sameness', 8, 1, 50],
          ['otherwise', 7, 40, 49],
        ],
      );
    });

    test('refusals are bounded for each account and for those without one, the oldest going first', async () => {
      const { id, first_at, count, ...refused } = rows.refusals[0]!;
      const flood = (owner: string) =>
        Array.from({ length: 30 }, (_, i) => ({ ...refused, account_id: owner, sameness: `${i}`, at: 100 + i }));
      await recordRefusals(tx, { refusals: [...flood(''), ...flood(account_id)], limit: 10 });
      for (const owner of ['', account_id]) {
        const listed = await listRefusals(db, owner);
        assert.deepEqual(
          listed.map((row) => row.at),
          Array.from({ length: 10 }, (_, i) => 129 - i),
        );
      }
      assert.equal((await listRefusals(db, '', { limit: 3 })).length, 3);
    });

    test('a refusal of an account that is gone is not kept, and keeps no other from being kept', async () => {
      const { id, first_at, count, ...refused } = rows.refusals[0]!;
      const late = { ...refused, account_id: 'gone' };
      await recordRefusals(tx, { refusals: [late, { ...refused, account_id: '' }], limit: 10 });
      assert.deepEqual(await listRefusals(db, 'gone'), []);
      assert.equal((await listRefusals(db, '')).length, 1);
    });

    test('an allow-list of thousands is imported, counted, paged and taken back', async () => {
      const device_ids = Array.from({ length: 1_234 }, (_, i) => `device-${String(i).padStart(4, '0')}`);
      const entries = [...device_ids, 'mine-allowed'].map((device_id) => ({ device_id, labels: null }));
      assert.deepEqual(await importAllowList(tx, { account_id, entries }), {
        added: 1_234,
        already: 1,
        updated: 0,
        overfull: [],
      });
      assert.equal(await isAllowed(db, account_id, 'device-1233'), true);
      assert.equal(await isAllowed(db, account_id, 'device-1234'), false);
      const idsOf = async (page: object) => (await allowListOf(db, account_id, page)).map(({ device_id }) => device_id);
      assert.deepEqual(await idsOf({ limit: 2, after: 'device-0007' }), ['device-0008', 'device-0009']);
      assert.deepEqual(await removeFromAllowList(tx, { account_id, device_ids: [...device_ids, 'nobody'] }), {
        removed: 1_234,
      });
      assert.deepEqual(await idsOf({}), ['mine-allowed']);
    });

    test('a device keeps its latest report of each kind, and one that is gone reports nothing', async () => {
      const { received_at, ...report } = rows.reports[0]!;
      await storeReport(tx, { ...report, body: new Uint8Array([1]) });
      await storeReport(tx, { ...report, kind: 'network', body: new Uint8Array([2]) });
      assert.deepEqual(
        (await reportsOf(db, account_id, report.device_uuid)).map((row) => [row.kind, row.body, row.received_at]),
        [
          ['ecus', new Uint8Array([1]), tx.now],
          ['network', new Uint8Array([2]), tx.now],
        ],
      );
      await rejects(storeReport(tx, { ...report, device_uuid: 'gone' }), 'not_found');
    });

    test('files and back ends of an account are replaced by name, and the rest stays', async () => {
      await setAccountFile(tx, { account_id, entry: 'mine-entry', sealed_content: new Uint8Array([1]) });
      await setAccountFile(tx, { account_id, entry: 'other', sealed_content: new Uint8Array([2]) });
      await removeAccountFile(tx, { account_id, entry: 'other' });
      await rejects(removeAccountFile(tx, { account_id, entry: 'other' }), 'not_found');
      assert.deepEqual(
        (await accountFilesOf(db, account_id)).map((row) => [row.entry, row.sealed_content]),
        [['mine-entry', new Uint8Array([1])]],
      );
      const upstream = { ...rows.upstreams[0]!, url: 'https://new.example', sealed_key: null };
      await setUpstreams(tx, { account_id, upstreams: [upstream, { ...upstream, prefix: '/a' }] });
      assert.deepEqual(
        (await upstreamsOf(db, account_id)).map((row) => [row.prefix, row.url, row.sealed_key]),
        [
          ['/a', 'https://new.example', null],
          ['/mine', 'https://new.example', null],
        ],
      );
    });

    test('a prepared query is bound anew each time, and a parameter in an expression is refused', async () => {
      const byName = prepared((on, given: { name: string; limit: number }) =>
        on.selectFrom('accounts').select('id').where('name', '=', given.name).limit(given.limit),
      );
      assert.deepEqual(await byName(db, { name: 'mine-account-name', limit: 1 }), [{ id: account_id }]);
      assert.deepEqual(await byName(db, { name: 'mine-account-name', limit: 0 }), []);
      assert.deepEqual(await byName(db, { name: 'nobody', limit: 1 }), []);
      const broken = prepared((on, given: { name: string }) =>
        on.selectFrom('accounts').select('id').where('name', '=', `${given.name}-name`),
      );
      await assert.rejects(broken(db, { name: 'mine-account' }), /used in an expression/);
    });
  });
}
