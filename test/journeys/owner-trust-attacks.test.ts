// Whoever writes the database: no row of any table makes an account admit whom its owner has not signed.

import assert from 'node:assert/strict';
import { hash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { Owner } from '../support/owner.ts';
import { type Ca, type Credentials, Pki } from '../support/pki.ts';
import { needs } from '../support/require.ts';

/** An intruder's device does not mind whose gateway it is. */
const anyGateway = { curl: ['--insecure'] };

/** The tables that know an account. */
const ofAccount = [
  ...['account_hosts', 'keys', 'gateway_cas', 'gateway_certificates', 'fleet_root_cas', 'fleet_root_certificates'],
  ...['distrusted_keys', 'trust_sets', 'narrowings', 'devices', 'certificates'],
];

/** What a victim is before the attack. */
interface Victim {
  readonly fleet: Fleet;
  readonly id: string;
}

/** Writes what an intruder would. */
type Write = (sql: string, ...values: SQLInputValue[]) => void;

interface Attack {
  readonly what: string;
  readonly does: (write: Write, victim: Victim) => Promise<void> | void;
  /** What the own device meets: it may go on, or be refused with a rule. */
  readonly own: 'in' | RegExp;
}

describe('an intruder who writes the database', { skip: needs('openssl', 'curl', 'unzip'), timeout: 300_000 }, () => {
  let fleetroot: Fleetroot;
  let pki: Pki;
  let owner: Owner;
  let intruder: Owner;
  let good: Ca;
  let stolen: Ca;
  let retired: Ca;
  let plant: Ca;
  let oldPlant: Ca;
  /** The intruder's own Fleet Root CA, registered in an account of his own, whose rows he copies. */
  let evil: Ca;
  let his: Fleet;
  let hisId: string;
  let stranger: Credentials;
  let later: Ca;
  /** A device under the Fleet Root CA that is signed and active. */
  let own: Credentials;
  /** Those under what was disabled or distrusted, some of it with the owner's signature, some at night without. */
  let shutOut: readonly Credentials[];
  /** Newcomers under Fleet Root CAs that were closed, likewise. */
  let closed: Ca;
  let closing: Ca;
  let newcomers: readonly Credentials[];

  before(async () => {
    [fleetroot, pki] = await Promise.all([Fleetroot.start(), Pki.open()]);
    [owner, intruder] = await Promise.all([Owner.open(pki), Owner.open(pki)]);
    good = await pki.guideRoot('good');
    stolen = await pki.guideRoot('stolen');
    retired = await pki.guideRoot('retired');
    plant = await good.intermediate('Line 1');
    oldPlant = await good.intermediate('Line 0');
    evil = await pki.guideRoot('evil');
    his = await Fleet.open(fleetroot, 'his', evil);
    hisId = (await fleetroot.json('account', 'show', 'his')).id;
    stranger = await evil.guideDevice('stranger');
    later = await pki.guideRoot('later');
    closed = await pki.guideRoot('closed');
    closing = await pki.guideRoot('closing');
    newcomers = [await closed.guideDevice('late'), await closing.guideDevice('too-late')];
    own = await good.guideDevice('own');
    shutOut = [
      await pki.chain(await plant.device('of-line'), plant.certificate),
      await stolen.guideDevice('of-stolen'),
      await pki.chain(await oldPlant.device('of-old-line'), oldPlant.certificate),
      await retired.guideDevice('of-retired'),
    ];
  });
  after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  const openVictim = async (name: string): Promise<Victim> => {
    const fleet = await Fleet.openOwned(fleetroot, name, owner.publicKey, good, stolen, retired, closed, closing);
    await owner.consent(fleet);
    for (const device of [own, ...shutOut]) assert.equal((await fleet.connect(device)).status, 200);
    await fleet.register(later);
    await fleet.fleetRoot('disable', 'retired', '--yes');
    await fleet.fleetRoot('close', 'closed', '--yes');
    await fleet.fleetRoot('distrust', oldPlant.certificate, '--yes');
    await owner.consent(fleet);
    await fleet.fleetRoot('disable', 'stolen', '--yes');
    await fleet.fleetRoot('close', 'closing', '--yes');
    await fleet.fleetRoot('distrust', plant.certificate, '--yes');
    const { id } = await fleetroot.json('account', 'show', name);
    return { fleet, id };
  };

  const inDatabase = async (dir: string, work: (write: Write) => Promise<void> | void): Promise<void> => {
    using database = new DatabaseSync(join(dir, 'registry.db'), { timeout: 5_000 });
    database.exec('PRAGMA foreign_keys = OFF');
    await work((sql, ...values) => void database.prepare(sql).run(...values));
  };

  /** Puts his Fleet Root CA among those of the victim. */
  const insertEvil = (write: Write, { id }: Victim): string => {
    const ca = randomUUID();
    const [columns, values] = [
      'name, kind, state, key_id, subject, public_key_sha256, successor_id, created_at',
      [ca, id, hisId],
    ];
    write(
      `INSERT INTO fleet_root_cas (id, account_id, ${columns}) SELECT ?, ?, ${columns} FROM fleet_root_cas WHERE account_id = ?`,
      ...values,
    );
    const others = 'role, sha256, public_key_sha256, certificate, not_after, added_at';
    write(
      `INSERT INTO fleet_root_certificates (fleet_root_ca_id, account_id, ${others}) SELECT ?, ?, ${others} FROM fleet_root_certificates WHERE account_id = ?`,
      ...values,
    );
    return ca;
  };

  const attacks: Attack[] = [
    { what: 'inserts a Fleet Root CA', does: (write, victim) => void insertEvil(write, victim), own: 'in' },
    {
      what: 'puts his certificate in the place of one that is signed',
      does: (write, { id }) =>
        write(
          `UPDATE fleet_root_certificates SET (certificate, public_key_sha256) =
             (SELECT certificate, public_key_sha256 FROM fleet_root_certificates WHERE account_id = ?)
           WHERE account_id = ? AND fleet_root_ca_id = (SELECT id FROM fleet_root_cas WHERE account_id = ? AND name = 'good')`,
          ...[hisId, id, id],
        ),
      own: 'in',
    },
    {
      what: 'sets back to active what was closed or disabled, trusts what was distrusted, and takes away that it was narrowed',
      does: (write, { id }) => {
        write("UPDATE fleet_root_cas SET state = 'active' WHERE account_id = ?", id);
        write('DELETE FROM distrusted_keys WHERE account_id = ?', id);
        write('DELETE FROM narrowings WHERE account_id = ?', id);
      },
      own: 'in',
    },
    {
      what: 'says that what was narrowed was narrowed long ago',
      does: (write, { id }) => {
        write("UPDATE fleet_root_cas SET state = 'active' WHERE account_id = ?", id);
        write('DELETE FROM distrusted_keys WHERE account_id = ?', id);
        write('UPDATE narrowings SET set_number = 0, id = id || ?, at = 0 WHERE account_id = ?', 'x', id);
      },
      own: 'in',
    },
    {
      what: 'turns what was narrowed into something else, under the same ID',
      does: (write, { id }) => {
        write("UPDATE fleet_root_cas SET state = 'active' WHERE account_id = ?", id);
        write('DELETE FROM distrusted_keys WHERE account_id = ?', id);
        write(
          "UPDATE narrowings SET kind = 'close', fleet_root_ca_id = 'nobody', public_key_sha256 = ? WHERE account_id = ?",
          ...['ab'.repeat(32), id],
        );
      },
      own: 'in',
    },
    {
      what: 'turns what was narrowed into what the owner has signed already, under the same ID',
      does: (write, { id }) => {
        write("UPDATE fleet_root_cas SET state = 'active' WHERE account_id = ?", id);
        write(
          `UPDATE narrowings SET (set_number, kind, public_key_sha256) = (SELECT 0, 'distrust', public_key_sha256
             FROM distrusted_keys WHERE account_id = ? ORDER BY added_at LIMIT 1) WHERE account_id = ?`,
          ...[id, id],
        );
        write('DELETE FROM distrusted_keys WHERE account_id = ?', id);
      },
      own: 'in',
    },
    {
      what: 'takes the owner key away',
      does: (write, victim) => {
        insertEvil(write, victim);
        write('UPDATE accounts SET owner_key = NULL WHERE id = ?', victim.id);
      },
      own: /owner key of the account in the registry is not the one that this node knows/,
    },
    {
      what: 'puts an owner key of his own there, with a set that he has signed',
      does: async (write, victim) => {
        const ca = insertEvil(write, victim);
        const file = await pki.write(followingSet(await lastSet(victim)).replace(victim.id, ca));
        const spki = pki.file('.der');
        await pki.openssl('pkey', '-pubin', '-in', intruder.publicKey, '-outform', 'DER', '-out', spki);
        write('UPDATE accounts SET owner_key = ? WHERE id = ?', await readFile(spki), victim.id);
        const signature = await readFile(await intruder.sign(file));
        write('INSERT INTO trust_sets VALUES (?, 3, ?, ?, 1)', victim.id, await readFile(file), signature);
      },
      own: /owner key of the account in the registry is not the one that this node knows/,
    },
    {
      what: 'adds a set that he has signed himself',
      does: async (write, victim) => {
        const file = await pki.write(followingSet(await lastSet(victim)));
        const signature = await readFile(await intruder.sign(file));
        write('INSERT INTO trust_sets VALUES (?, 3, ?, ?, 1)', victim.id, await readFile(file), signature);
      },
      own: /Set 3 of the account in the registry is not signed by its owner/,
    },
    {
      what: 'gives the set that is signed another number',
      does: (write, { id }) => write('UPDATE trust_sets SET number = 3 WHERE account_id = ? AND number = 2', id),
      own: /Set 3 of the account in the registry is not signed by its owner/,
    },
    {
      what: 'changes the set that is signed',
      does: async (write, victim) => {
        const changed = Buffer.from((await lastSet(victim)).replace(/"name": "later"/, '"name": "lates"'));
        write('UPDATE trust_sets SET document = ? WHERE account_id = ? AND number = 2', changed, victim.id);
      },
      own: /Set 2 of the account in the registry is not signed by its owner/,
    },
    {
      what: 'puts a set there that the owner has signed too, and that was never accepted',
      does: async (write, victim) => {
        const other = (await lastSet(victim)).replace(/"drawn_at": "[^"]*"/, '"drawn_at": "2020-01-01T00:00:00.000Z"');
        const file = await pki.write(other);
        const signature = await readFile(await owner.sign(file));
        const values = [await readFile(file), signature, victim.id];
        write('UPDATE trust_sets SET document = ?, signature = ? WHERE account_id = ? AND number = 2', ...values);
      },
      own: /Set 2 of the account in the registry does not lead back to set 2 that this node has accepted/,
    },
    {
      what: 'puts a set there that the owner has signed to come after another',
      does: async (write, victim) => {
        const file = await pki.write(
          followingSet(await lastSet(victim)).replace(/("previous_sha256": ")[^"]*/, `$1${'0'.repeat(64)}`),
        );
        const signature = await readFile(await owner.sign(file));
        write('INSERT INTO trust_sets VALUES (?, 3, ?, ?, 1)', victim.id, await readFile(file), signature);
      },
      own: /Set 3 of the account in the registry does not lead back to set 2 that this node has accepted/,
    },
    {
      what: 'puts an older set back',
      does: (write, { id }) => write('DELETE FROM trust_sets WHERE account_id = ? AND number = 2', id),
      own: /has lost set 2 of the account, which this node has accepted/,
    },
    {
      what: 'puts the set of another account of the same owner there',
      does: (write, { id }) =>
        write(
          `UPDATE trust_sets SET (document, signature) = (SELECT document, signature FROM trust_sets WHERE number = 2 AND account_id != ? LIMIT 1)
           WHERE account_id = ? AND number = 2`,
          ...[id, id],
        ),
      own: /Set 2 of the account in the registry is not signed by its owner/,
    },
    {
      what: 'takes all sets away',
      does: (write, { id }) => write('DELETE FROM trust_sets WHERE account_id = ?', id),
      own: /has lost set 2 of the account, which this node has accepted/,
    },
    {
      what: 'makes it a test account with a provisioning CA',
      does: (write, victim) => {
        insertEvil(write, victim);
        write("UPDATE accounts SET kind = 'test' WHERE id = ?", victim.id);
        write(
          `INSERT INTO provisioning_cas SELECT ?, ?, id, (SELECT certificate FROM fleet_root_certificates WHERE account_id = ?), not_after, created_at
           FROM (SELECT id FROM keys WHERE account_id = ? LIMIT 1), (SELECT 9000000000000 AS not_after, 1 AS created_at)`,
          ...[victim.id, randomUUID(), hisId, victim.id],
        );
      },
      own: /another kind or name in the registry/,
    },
    {
      what: 'moves all of its rows to another account ID, without an owner key',
      does: (write, victim) => {
        insertEvil(write, victim);
        const id = randomUUID();
        write('UPDATE accounts SET id = ?, owner_key = NULL WHERE id = ?', id, victim.id);
        for (const table of ofAccount) write(`UPDATE ${table} SET account_id = ? WHERE account_id = ?`, id, victim.id);
      },
      own: /The name moved-rows of this account is known to this node as that of the account/,
    },
    {
      what: 'the same, under another name',
      does: (write, victim) => {
        insertEvil(write, victim);
        const id = randomUUID();
        write("UPDATE accounts SET id = ?, owner_key = NULL, name = 'renamed' WHERE id = ?", id, victim.id);
        for (const table of ofAccount) write(`UPDATE ${table} SET account_id = ? WHERE account_id = ?`, id, victim.id);
      },
      own: /The host .* of this account is known to this node as that of the account/,
    },
    {
      what: 'moves its host to an account of his own',
      does: (write, { id }) => write('UPDATE account_hosts SET account_id = ? WHERE account_id = ?', hisId, id),
      own: /The host .* of this account is known to this node as that of the account/,
    },
  ];

  /** The set of a victim that counts, as the registry has it. */
  const lastSet = async ({ id }: Victim): Promise<string> => {
    using database = new DatabaseSync(join(fleetroot.dir, 'registry.db'), { readOnly: true });
    const row = database.prepare('SELECT document FROM trust_sets WHERE account_id = ? AND number = 2').get(id);
    return Buffer.from(row!['document'] as Uint8Array).toString('ascii');
  };

  /** One that says the same and comes after it. */
  const followingSet = (document: string): string =>
    document
      .replace('"number": 2', '"number": 3')
      .replace(/("previous_sha256": ")[^"]*/, `$1${hash('sha256', document, 'hex')}`)
      .replace(/"lifts": \[[^\]]*\]/, '"lifts": []');

  /** Everybody arrives: whoever was not signed, or was shut out, never gets in; the own device meets what is said. */
  const arriveAll = async ({ fleet }: Victim, expected: Attack['own']): Promise<void> => {
    for (const device of [stranger, ...shutOut, ...newcomers]) {
      const answer = await fleet.connect(device, anyGateway);
      assert.equal(answer.status, 403, `${answer.curl}: ${answer.body}`);
    }
    const { status, json } = await fleet.connect(own, anyGateway);
    if (expected === 'in') {
      assert.equal(status, 200, JSON.stringify(json));
    } else {
      assert.deepEqual([status, json?.code], [403, 'certificate_untrusted']);
      assert.match(json.description, expected);
    }
  };

  const readyz = async (at: Fleetroot = fleetroot): Promise<any> => {
    const [response] = await once(get(`http://127.0.0.1:${at.server.operatorPort}/readyz`), 'response');
    return JSON.parse(Buffer.concat(await response.toArray()).toString());
  };

  const victims = new Map<Attack, Victim>();
  for (const [index, attack] of attacks.entries()) {
    const name = attack.own !== 'in' && attack.own.source.includes('moved-rows') ? 'moved-rows' : `victim-${index}`;
    test(`who ${attack.what} lets nobody in while the server runs`, async () => {
      const victim = await openVictim(name);
      victims.set(attack, victim);
      await inDatabase(fleetroot.dir, (write) => attack.does(write, victim));
      // What is remembered is forgotten at the next change: here the whole account is read anew.
      await fleetroot.command('account', 'set', name, '--rekey', 'accept');
      await fleetroot.command('account', 'set', 'his', '--rekey', 'accept');
      await arriveAll(victim, attack.own);
      if (attack.own !== 'in') {
        const reasons = await eventually(async () => {
          const { status, faults } = await readyz();
          const mine = (faults ?? []).filter((fault: { account: string }) => fault.account === victim.id);
          return status === 'degraded' && mine.length > 0 ? mine : null;
        });
        assert.equal(reasons[0].part, 'owner_trust');
      }
      if (attack.what.includes('host')) {
        // So that the account of his is his again for the next attack.
        await inDatabase(fleetroot.dir, (write) =>
          write(
            `UPDATE account_hosts SET account_id = ? WHERE account_id = ? AND host LIKE ?`,
            ...[victim.id, hisId, `${victim.id}%`],
          ),
        );
        await fleetroot.command('account', 'set', 'his', '--rekey', 'accept');
      }
    });
  }

  const kept = async ({ id }: Victim): Promise<any> =>
    JSON.parse(await readFile(fleetroot.file('owner-trust.json'), 'utf8')).accounts[id];

  test('who writes more narrowings than a set could lift keeps all out, and spoils nothing that lasts', async () => {
    const victim = await openVictim('many');
    const { fleet, id } = victim;
    const reset = () => fleetroot.command('account', 'set', 'many', '--rekey', 'accept');
    const before = await kept(victim);
    await inDatabase(fleetroot.dir, (write) =>
      write(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001)
         INSERT INTO narrowings SELECT ?, 'x' || i, 'distrust', NULL, ?, 0, i FROM n`,
        ...[id, 'ab'.repeat(32)],
      ),
    );
    await reset();
    await arriveAll(victim, /more than 500 things were closed, disabled or distrusted/);
    assert.match((await fleetroot.json('account', 'show', 'many')).trust_set.fault.rule, /more than 500/);
    const left = (most: number) =>
      inDatabase(fleetroot.dir, (write) => write('DELETE FROM narrowings WHERE at > ? AND at < 2000', most));
    await left(498);
    await reset();
    await arriveAll(victim, /more than 500/);
    assert.deepEqual(await kept(victim), before);
    await left(100);
    await reset();
    await arriveAll(victim, 'in');
    // What it took from rows is lifted by the next set.
    await fleet.fleetRoot('disable', 'later', '--yes');
    assert.ok((await fleetroot.json('account', 'show', 'many')).trust_set.narrowed.length > 100);
    await owner.consent(fleet);
    await arriveAll(victim, 'in');
    await fleetroot.json('account', 'delete', 'many', '--yes');
  });

  test('the same narrowed again is one narrowing, with an ID that no set drawn in between lifts', async () => {
    const victim = await openVictim('again');
    const { fleet, id } = victim;
    const [first] = (await kept(victim)).narrowings;
    for (let i = 0; i < 3; i += 1) await fleet.fleetRoot('disable', 'stolen', '--yes');
    await fleet.fleetRoot('activate', 'stolen');
    const byDay = await owner.draw(fleet);
    await fleet.fleetRoot('disable', 'stolen', '--yes');
    await fleet.fleetRoot('activate', 'stolen');
    assert.match((await owner.apply(fleet, byDay)).stderr, /neither carries nor lifts/);
    const { narrowings } = await kept(victim);
    assert.equal(narrowings.length, 3);
    assert.ok(!narrowings.some((each: { id: string }) => each.id === first.id));
    using database = new DatabaseSync(fleetroot.file('registry.db'), { readOnly: true });
    assert.equal(database.prepare('SELECT id FROM narrowings WHERE account_id = ?').all(id).length, 3);
    await arriveAll(victim, 'in');
  });

  test('who swaps names misleads no operator: by name he is told, by ID he reaches what is signed', async () => {
    const victim = await openVictim('swapped');
    const { fleet, id } = victim;
    const { id: ofGood } = await fleet.fleetRoot('show', 'good');
    const { id: ofStolen, sha256 } = await fleet.fleetRoot('show', 'stolen');
    await inDatabase(fleetroot.dir, (write) => {
      for (const [name, ca] of [
        ['tmp', ofGood],
        ['good', ofStolen],
        ['stolen', ofGood],
      ]) {
        write('UPDATE fleet_root_cas SET name = ? WHERE account_id = ? AND id = ?', name, id, ca);
      }
    });
    for (const ref of ['stolen', 'good', sha256]) {
      const { code, stderr } = await fleetroot.command('fleet-root', 'disable', 'swapped', ref, '--yes');
      assert.equal(code, 1);
      assert.match(stderr, /another name or key of the Fleet Root CA .* than the owner has signed/);
    }
    await arriveAll(victim, 'in');
    // The key that is shut out is the one signed, whatever key the row says.
    await inDatabase(fleetroot.dir, (write) =>
      write(
        'UPDATE fleet_root_cas SET public_key_sha256 = (SELECT public_key_sha256 FROM fleet_root_cas WHERE id = ?) WHERE id = ?',
        ...[ofGood, ofStolen],
      ),
    );
    await fleet.fleetRoot('disable', ofStolen, '--yes');
    await arriveAll(victim, 'in');
  });

  test('rows that are none are shown as far as they go, and spoil no answer about others', async () => {
    const victim = await openVictim('odd');
    const { fleet, id } = victim;
    await inDatabase(fleetroot.dir, (write) => {
      const last = 2n ** 63n - 1n;
      write('UPDATE accounts SET created_at = ? WHERE id = ?', last, id);
      write('UPDATE trust_sets SET accepted_at = ? WHERE account_id = ?', last, id);
      write('UPDATE narrowings SET at = ? WHERE account_id = ?', last, id);
      write('UPDATE distrusted_keys SET certificate = ? WHERE account_id = ?', Buffer.from('x'), id);
      write(
        `UPDATE fleet_root_certificates SET certificate = ?, not_after = ?, role = 'intermediate' WHERE account_id = ? AND fleet_root_ca_id =
           (SELECT id FROM fleet_root_cas WHERE account_id = ? AND name = 'good')`,
        ...[Buffer.from('x'), last, id, id],
      );
    });
    await fleetroot.command('account', 'set', 'odd', '--rekey', 'accept');
    await arriveAll(victim, 'in');
    const listed = await fleetroot.json('account', 'list');
    const { fleet_root_cas, trust_set, created_at } = listed.find((each: { id: string }) => each.id === id);
    assert.deepEqual([created_at, trust_set.fault], ['9999-12-31T23:59:59.999Z', null]);
    const shown = fleet_root_cas.find(({ name }: { name: string }) => name === 'good');
    assert.deepEqual([shown.sha256, shown.counts, shown.certificates[0].subject], ['', 'active', '']);
    assert.equal((await fleet.fleetRoot('close', 'good', '--yes')).counts, 'closed');
    assert.ok(['ready', 'degraded'].includes((await readyz()).status));
    // Where not even that can be told, the account is listed by its own row, and goes.
    await inDatabase(fleetroot.dir, (write) => write('DELETE FROM keys WHERE account_id = ?', id));
    const bare = (await fleetroot.json('account', 'list')).find((each: { id: string }) => each.id === id);
    assert.deepEqual([bare.name, bare.gateway_cas], ['odd', []]);
    assert.equal((await fleetroot.json('account', 'delete', 'odd', '--yes')).name, 'odd');
  });

  test('nor after a restart', async () => {
    await fleetroot.restart();
    for (const [attack, victim] of victims) {
      if (!attack.what.includes('host')) await arriveAll(victim, attack.own);
    }
    assert.equal(await his.arrive(stranger), 'in', 'his own account is his own');
  });
});
