// Manifests of two lines in one registry: each speaks for what its own CA has issued, and a long one costs no more than its length.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { CompiledQuery } from 'kysely';
import type { Db } from '../../src/registry/database.ts';
import type { ManifestEntry } from '../../src/registry/manifest-certificates.ts';
import { importManifest, type NewManifest } from '../../src/registry/manifests.ts';
import { backends, type Home, insertRows, rowsOf, transactionOn } from '../support/registry.ts';

const mine = rowsOf('mine');
const account_id = mine.accounts[0]!.id;
const [certificate] = mine.certificates;

/** What a log tells of the certificate with this digest, charged to no mandate. */
const told = (tbs_sha256: string, more: Partial<ManifestEntry> = {}): Omit<ManifestEntry, 'number'> => ({
  action: 'make',
  tbs_sha256,
  public_key_sha256: `${tbs_sha256}-key`,
  device_id: `${tbs_sha256}-device`,
  order_name: 'o1',
  batch: null,
  station: 's1',
  mandate_id: 'none',
  evidence: '{"kind":"station"}',
  at: 1,
  beyond: null,
  ...more,
});

/** The manifest of a line with this key that tells of them. */
const manifestOf = (key: string, entries: readonly Omit<ManifestEntry, 'number'>[], first = 1): NewManifest => ({
  account_id,
  line: {
    fleet_root_ca_id: mine.fleet_root_cas[0]!.id,
    public_key_sha256: key,
    name: key,
    site: null,
    log_id: `${key}-log`,
  },
  certificate: {
    role: 'intermediate',
    sha256: `${key}-sha256`,
    public_key_sha256: key,
    certificate: Uint8Array.of(1),
    not_after: 9_000_000_000_000,
  },
  first,
  last: first + entries.length - 1,
  previous_hash: '00'.repeat(32),
  hashes: new Uint8Array(32 * entries.length),
  made_at: 1_000,
  entries: entries.map((entry, index) => ({ ...entry, number: first + index })),
  mandates: [],
});

/** What manifests have left, the lines last. */
const tables = [
  'manifest_strangers',
  'manifest_certificates',
  'manifest_orders',
  'manifest_mandates',
  'manifest_ranges',
  'manifest_lines',
] as const;

/** Of the CA through which the device of these rows came. */
const ownKey = mine.chain_certificates[0]!.public_key_sha256;

for (const { name, home: newHome } of backends) {
  describe(`manifests of lines on ${name}`, () => {
    let home: Home;
    let db: Db;
    let queries: CompiledQuery[];

    beforeEach(async () => {
      home = newHome();
      queries = [];
      db = await home.database((query) => void queries.push(query));
      await insertRows(db, mine);
      for (const table of tables) await db.deleteFrom(table).execute();
    });
    afterEach(() => home[Symbol.dispose]());

    const take = async (manifest: NewManifest) => {
      const taken = await db.transaction().execute((tx) => importManifest(transactionOn(tx), manifest));
      assert.ok('made' in taken);
      return taken;
    };
    const certificates = () => db.selectFrom('manifest_certificates').selectAll().orderBy('number').execute();
    const stateOf = async () =>
      (
        await db
          .selectFrom('certificates')
          .select('state')
          .where('tbs_sha256', '=', certificate!.tbs_sha256)
          .executeTakeFirstOrThrow()
      ).state;
    const its = {
      device_id: certificate!.subject_name,
      public_key_sha256: certificate!.public_key_sha256,
    };

    test('a line revokes what its own CA has issued, and nothing of another’s', async () => {
      const make = told(certificate!.tbs_sha256, its);
      const withdraw = { ...make, action: 'withdraw' } as const;
      await take(manifestOf('rogue', [make]));
      await take(manifestOf(ownKey, [make]));
      assert.equal((await take(manifestOf('rogue', [withdraw], 2))).revoked, 0);
      assert.equal(await stateOf(), 'current');
      const own = await take(manifestOf(ownKey, [withdraw], 2));
      assert.equal(own.revoked, 1, 'and the rogue’s claim keeps it from nothing');
      assert.equal(await stateOf(), 'revoked');
    });

    test('a withdrawal that is not of what was made is refused', async () => {
      for (const other of [{ device_id: 'x' }, { public_key_sha256: 'x' }, { order_name: 'x' }]) {
        const entries = [told('a'), told('a', { ...other, action: 'withdraw' })];
        await assert.rejects(
          db.transaction().execute((tx) => importManifest(transactionOn(tx), manifestOf('line', entries))),
          /entry 2 .* withdraws the certificate a with another .* than entry 1/,
        );
      }
    });

    test('2,000 entries with one device ID cost a bounded number of statements each', async () => {
      const ids = Array.from({ length: 1_000 }, (_, index) => `tbs-${index}`);
      const one = (tbs: string, action: 'make' | 'withdraw') => told(tbs, { action, device_id: 'one' });
      const made = ids.map((tbs) => one(tbs, 'make'));
      const withdrawn = ids.slice(1).map((tbs) => one(tbs, 'withdraw'));
      queries = [];
      await take(manifestOf('line', [...made, ...withdrawn]));
      assert.ok(queries.length < 12 * (made.length + withdrawn.length), `${queries.length} statements`);
      const each = new Map(queries.map((query) => [query.sql, query]));
      for (const query of each.values()) {
        if (query.sql.startsWith('select')) assert.deepEqual(await home.scannedBy(query), []);
      }
      const shares = (await certificates()).map((each) => each.shares);
      assert.deepEqual(new Set(shares), new Set([null]), 'one is left, which shares with none');
    });

    test('those that share a device ID or a key are marked as long as they do', async () => {
      const shared = async () => (await certificates()).map(({ shares }) => shares);
      const [a, b, c] = [told('a', { device_id: 'one' }), told('b', { device_id: 'one' }), told('c')];
      const alike = { ...c, public_key_sha256: 'a-key' };
      await take(manifestOf('line', [a, b, alike]));
      assert.deepEqual(await shared(), ['public_key', 'device_id', 'public_key']);
      await take(manifestOf('line', [{ ...alike, action: 'withdraw' }], 4));
      assert.deepEqual(await shared(), ['device_id', 'device_id', null]);
      await take(manifestOf('line', [{ ...a, action: 'withdraw' }], 5));
      assert.deepEqual(await shared(), [null, null, null]);
    });

    test('what no mandate covers is not made known, and no line labels what another has made', async () => {
      const listed = async () =>
        new Map(
          (await db.selectFrom('allow_list').selectAll().execute()).map(({ device_id, labels }) => [device_id, labels]),
        );
      await take(manifestOf('one', [told('a', { device_id: 'dev-1' })]));
      const theirs = [
        told('b', { device_id: 'dev-1', order_name: 'o2' }),
        told('c', { device_id: 'dev-2', beyond: 'mandate' }),
      ];
      await take(manifestOf('two', theirs));
      assert.equal((await listed()).get('dev-1'), '{"order":"o1"}');
      assert.ok(!(await listed()).has('dev-2'));
    });

    test('the account of a line that was complete stays so', async () => {
      await take(manifestOf('line', [told('a')]));
      const { line } = await take({ ...manifestOf('line', [told('b')], 2), made_at: 1 });
      assert.equal(line.last_made_at, 1_000);
    });
  });
}
