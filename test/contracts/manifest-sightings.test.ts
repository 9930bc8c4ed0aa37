// What manifests decide and what is told of who came past them, in the registry: one look-up, decisions that hold, strangers told once.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { CompiledQuery } from 'kysely';
import { Sightings } from '../../src/gateway/sightings.ts';
import { openLog } from '../../src/log.ts';
import { accountById } from '../../src/registry/accounts.ts';
import { admitDevice, standingOf } from '../../src/registry/admissions.ts';
import type { Db } from '../../src/registry/database.ts';
import { fleetRootCasOf } from '../../src/registry/fleet-root-cas.ts';
import { recordSightings, type SeenCertificate } from '../../src/registry/manifest-sightings.ts';
import { backends, type Home, insertRows, rowsOf, transactionOn } from '../support/registry.ts';

const mine = rowsOf('mine');
const account_id = mine.accounts[0]!.id;
const [line] = mine.manifest_lines;
const [made] = mine.manifest_certificates;

const seen = (tbs_sha256: string, more: Partial<SeenCertificate> = {}): SeenCertificate => ({
  kind: 'stranger',
  certain: true,
  account_id,
  tbs_sha256,
  line_id: line!.id,
  device_id: 'a-device',
  public_key_sha256: 'a-key',
  first_seen: 10,
  last_seen: 20,
  admitted: 0,
  ...more,
});

for (const { name, home: newHome } of backends) {
  describe(`manifests in the registry on ${name}`, () => {
    let home: Home;
    let db: Db;
    let queries: CompiledQuery[];

    beforeEach(async () => {
      home = newHome();
      queries = [];
      db = await home.database((query) => void queries.push(query));
      await insertRows(db, mine);
      await db.deleteFrom('manifest_strangers').execute();
    });
    afterEach(() => home[Symbol.dispose]());

    const strangers = () => db.selectFrom('manifest_strangers').selectAll().orderBy('tbs_sha256').execute();
    const { device_id, tbs_sha256, public_key_sha256 } = made!;
    const shown = { device_id: 'new', tbs_sha256, public_key_sha256: 'key', issuer_key: line!.public_key_sha256 };

    test('are asked once for a decision where they have a say, and else never', async () => {
      for (const asks_manifests of [true, false]) {
        queries = [];
        const { made: held } = await standingOf(db, account_id, { ...shown, asks_manifests });
        assert.equal(queries.filter(({ sql }) => sql.includes('manifest_')).length, asks_manifests ? 1 : 0);
        assert.deepEqual(
          held,
          asks_manifests ? { line_id: line!.id, device_id, public_key_sha256, withdrawn_at: null, beyond: null } : null,
        );
        for (const query of queries) assert.deepEqual(await home.scannedBy(query), []);
      }
    });

    /** A newcomer with the certificate that a manifest holds, on what holds now. */
    const admittance = async (): Promise<Parameters<typeof admitDevice>[1]> => {
      const { sha256, serial, not_before, not_after, der } = mine.certificates[0]!;
      const [root] = await fleetRootCasOf(db, account_id);
      const certificate = { ...shown, sha256, serial, not_before, not_after, der, subject_name: 'new' };
      const { device_id: _, issuer_key: _key, ...row } = certificate;
      return {
        account_id,
        shown: row,
        state: 'active',
        certificate_state: 'current',
        fleet_root_ca_id: root!.id,
        intermediates: [],
        strange_to: null,
        basis: {
          standing: await standingOf(db, account_id, { ...shown, asks_manifests: true }),
          account: (await accountById(db, account_id))!,
          root: root!,
        },
      };
    };

    const meanwhile: Record<string, () => Promise<unknown>> = {
      'the certificate is withdrawn': () => db.updateTable('manifest_certificates').set({ withdrawn_at: 5 }).execute(),
      'a manifest comes to hold it as beyond its mandate': () =>
        db.updateTable('manifest_certificates').set({ beyond: 'quota' }).execute(),
      'no manifest holds it any more': () => db.deleteFrom('manifest_certificates').execute(),
      'its Fleet Root CA admits by another measure': () =>
        db.updateTable('fleet_root_cas').set({ admit: 'manifest' }).execute(),
    };
    for (const [what, happens] of Object.entries(meanwhile)) {
      test(`a decision does not hold where ${what} meanwhile`, async () => {
        const decision = await admittance();
        await happens();
        assert.equal(await admitDevice(transactionOn(db), decision), false);
        assert.equal(await admitDevice(transactionOn(db), await admittance()), true, 'taken anew it does');
      });
    }

    test('a stranger that is let in is recorded with the device, and told of by nobody yet', async () => {
      await db.deleteFrom('manifest_certificates').execute();
      const tx = transactionOn(db);
      await admitDevice(tx, { ...(await admittance()), strange_to: line!.id });
      const [stranger] = await strangers();
      assert.deepEqual([stranger!.device_id, stranger!.admitted, stranger!.told_at], ['new', 1, null]);
      assert.ok(!tx.events.some(({ type }) => type === 'factory.stranger'));
    });

    test('a stranger is told of once, when it is certain', async () => {
      const events: unknown[] = [];
      for (const [certain, told, admitted] of [
        [false, 0, 1],
        [true, 1, 0],
        [true, 1, 0],
        [false, 1, 1],
      ] as const) {
        const tx = transactionOn(db);
        await recordSightings(tx, { seen: [seen('s', { certain, admitted })], limit: 5 });
        events.push(...tx.events);
        assert.equal(events.length, told);
        const [stranger, ...others] = await strangers();
        assert.deepEqual([stranger!.admitted, stranger!.told_at !== null, others], [admitted, told > 0, []]);
      }
    });

    test('what a manifest has come to hold is no stranger, and what came though it was withdrawn is noted there', async () => {
      const tx = transactionOn(db);
      const held = made!.tbs_sha256;
      const its = { device_id, public_key_sha256 };
      const withdrawn = { ...its, kind: 'withdrawn', certain: false } as const;
      await recordSightings(tx, { seen: [seen(held, its), seen(held, withdrawn)], limit: 5 });
      assert.deepEqual([await strangers(), tx.events], [[], []]);
      const { came_at } = await db.selectFrom('manifest_certificates').select('came_at').executeTakeFirstOrThrow();
      assert.equal(came_at, 20);
      await recordSightings(tx, { seen: [seen('s', { line_id: 'gone' })], limit: 5 });
      assert.deepEqual([await strangers(), tx.events], [[], []], 'nor what is of no line that is there');
      for (const other of [{ device_id: 'another' }, { public_key_sha256: 'another' }]) {
        await recordSightings(tx, {
          seen: [seen(held, { ...its, ...other, kind: 'withdrawn', last_seen: 30 })],
          limit: 5,
        });
        await recordSightings(tx, { seen: [seen(held, { ...its, ...other })], limit: 5 });
        assert.equal((await strangers()).length, 1, 'what it lists as another is one');
        await db.deleteFrom('manifest_strangers').execute();
      }
    });

    test('of strangers the latest stay', async () => {
      const all = ['c', 'a', 'd', 'b'].map((tbs, at) => seen(tbs, { last_seen: at }));
      await recordSightings(transactionOn(db), { seen: all, limit: 2 });
      assert.deepEqual(
        (await strangers()).map(({ tbs_sha256 }) => tbs_sha256),
        ['b', 'd'],
      );
    });

    test('a flood of them costs one small write', async () => {
      await using registry = await home.open();
      await using sightings = new Sightings(registry, { clock: Date.now, log: openLog('silent') });
      for (let one = 0; one < 1_000; one += 1) {
        const { kind, line_id, certain, admitted, first_seen, last_seen, ...certificate } = seen(`tbs-${one % 100}`);
        sightings.note({ kind, line_id }, certificate, { admitted: false, certain });
      }
      await sightings.flush();
      const kept = await strangers();
      assert.ok(kept.length > 0 && kept.length <= 25, `${kept.length} are kept`);
      assert.ok(kept.every(({ told_at }) => told_at !== null));
    });
  });
}
