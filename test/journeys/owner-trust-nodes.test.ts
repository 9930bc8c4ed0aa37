// Owner-signed trust over restarts: a registry rolled back, a server killed in between, a file lost, a node that is new.

import assert from 'node:assert/strict';
import { chmod, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { run } from '../../src/cli/program.ts';
import { eventually } from '../support/eventually.ts';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { Image } from '../support/image.ts';
import { Owner } from '../support/owner.ts';
import { type Ca, type Credentials, Pki } from '../support/pki.ts';
import { temporaryDirectory } from '../support/process.ts';
import { deaths, needs } from '../support/require.ts';
import { ServeProcess } from '../support/serve.ts';

const kills = deaths(20);

describe('a node and what it knows of owners', { skip: needs('openssl', 'curl', 'unzip'), timeout: 900_000 }, () => {
  let pki: Pki;
  let owner: Owner;
  let root: Ca;
  let fleetroot: Fleetroot;
  let fleet: Fleet;
  let known: Credentials;
  /** The first set, which has the root active. */
  let first: string;

  before(async () => {
    pki = await Pki.open();
    [owner, root] = await Promise.all([Owner.open(pki), pki.guideRoot('signed')]);
  });
  after(() => pki[Symbol.asyncDispose]());
  beforeEach(async () => {
    fleetroot = await Fleetroot.start();
    fleet = await Fleet.openOwned(fleetroot, 'owned', owner.publicKey, root);
    first = await owner.consent(fleet);
    known = await root.guideDevice('known');
    assert.equal(await fleet.arrive(known), 'in');
  });
  afterEach(() => fleetroot[Symbol.asyncDispose]());

  const database = () => fleetroot.file('registry.db');
  const trustFile = () => fleetroot.file('owner-trust.json');
  const pin = async () => Object.values<any>(JSON.parse(await readFile(trustFile(), 'utf8')).accounts)[0];
  const trustSet = async () => (await fleetroot.json('account', 'show', 'owned')).trust_set;
  const applied = async (document: string) => assert.equal((await owner.apply(fleet, document)).code, 0);

  /** Another set: one more root, or what the operator says. */
  const nextSet = async (): Promise<string> => {
    await fleet.register(await pki.guideRoot(`later ${crypto.randomUUID().slice(0, 8)}`));
    return owner.consent(fleet);
  };

  test('a registry restored from a back-up is older than what the node knows: nobody, until the set is applied again', async () => {
    const backup = fleetroot.file('backup.db');
    await fleetroot.restart(() => copyFile(database(), backup));
    await nextSet();
    const third = await nextSet();
    await fleetroot.restart(() => copyFile(backup, database()));
    assert.equal(await fleet.arrive(known), 'certificate_untrusted');
    const { rule, remedy } = await fleet.explain(known);
    assert.match(rule, /has lost set 3 of the account, which this node has accepted/);
    assert.match(remedy, /Apply set 3 again with `fleet-root apply`/);
    assert.deepEqual([(await trustSet()).number, (await trustSet()).fault.rule], [3, rule]);
    assert.match((await owner.apply(fleet, first)).stderr, /has the number 1, and set 3 has been accepted/);
    assert.equal(await fleet.arrive(known), 'certificate_untrusted');
    await applied(third);
    assert.equal(await fleet.arrive(known), 'in');
    assert.equal((await trustSet()).fault, null);
  });

  test('where the lost set is nowhere any more, the owner signs what is wished now', async () => {
    const backup = fleetroot.file('backup.db');
    await fleetroot.restart(() => copyFile(database(), backup));
    await nextSet();
    await fleetroot.restart(() => copyFile(backup, database()));
    assert.equal(await fleet.arrive(known), 'certificate_untrusted');
    await owner.consent(fleet);
    assert.equal(await fleet.arrive(known), 'in');
    assert.equal((await trustSet()).number, 3);
  });

  test('what is written into the registry past the server is noticed by itself, and so is its mending', async () => {
    const setOwnerKey = (key: Uint8Array | null): Uint8Array => {
      using registry = new DatabaseSync(database(), { timeout: 5_000 });
      const before = registry.prepare('SELECT owner_key FROM accounts WHERE name = ?').get('owned')!['owner_key'];
      registry.prepare('UPDATE accounts SET owner_key = ? WHERE name = ?').run(key, 'owned');
      return before as Uint8Array;
    };
    const key = setOwnerKey(null);
    await eventually(async () => (await fleet.connect(known)).status === 403);
    assert.equal(await fleet.arrive(known), 'certificate_untrusted');
    setOwnerKey(key);
    await eventually(async () => (await fleet.connect(known)).status === 200);
  });

  test('the set that counts, applied again, says so where something has been shut out since', async () => {
    await fleet.fleetRoot('disable', 'signed', '--yes');
    const again = await owner.apply(fleet, first);
    assert.match(again.stdout, /1 narrowing\(s\) made since stay in force/);
    assert.equal(await fleet.arrive(known), 'fleet_root_ca_disabled');
    const { remedy } = await fleet.explain(known);
    assert.match(remedy, /counts once its owner has signed what `fleet-root changes` writes/);
  });

  test('killed between the registry and its file, it follows the registry by the signature', async () => {
    const before = await readFile(trustFile());
    const second = await nextSet();
    await fleet.fleetRoot('disable', 'signed', '--yes');
    await fleetroot.restart(() => writeFile(trustFile(), before));
    assert.equal(await fleet.arrive(known), 'fleet_root_ca_disabled');
    const followed = await eventually(async () => ((await pin()).set.number === 2 ? pin() : null));
    assert.deepEqual([followed.narrowings.length, followed.narrowings[0].kind], [1, 'disable']);
    await applied(second);
    // From now on the rows may say what they like.
    await fleetroot.restart(async () => {
      using rows = new DatabaseSync(database(), { timeout: 10_000 });
      rows.exec("DELETE FROM narrowings; UPDATE fleet_root_cas SET state = 'active'");
    });
    assert.equal(await fleet.arrive(known), 'fleet_root_ca_disabled');
  });

  test('a set drawn and signed by day, refused after the night, lets nobody in when it is written into the registry', async () => {
    const byDay = await (async () => {
      await fleet.register(await pki.guideRoot('tomorrow'));
      return owner.draw(fleet);
    })();
    const signature = await owner.sign(byDay);
    await fleet.fleetRoot('disable', 'signed', '--yes');
    const { stderr } = await fleetroot.command('fleet-root', 'apply', 'owned', byDay, signature);
    assert.match(stderr, /neither carries nor lifts/);
    const { id } = await fleetroot.json('account', 'show', 'owned');
    await fleetroot.restart(async () => {
      using rows = new DatabaseSync(database(), { timeout: 10_000 });
      const insert = rows.prepare('INSERT INTO trust_sets VALUES (?, 2, ?, ?, 1)');
      insert.run(id, await readFile(byDay), await readFile(signature));
      rows.exec("DELETE FROM narrowings; UPDATE fleet_root_cas SET state = 'active'");
    });
    assert.equal(await fleet.arrive(known), 'fleet_root_ca_disabled');
    const { number, narrowed } = await trustSet();
    assert.deepEqual([number, narrowed.length], [2, 1]);
  });

  test('a node that is new knows by trust.owner_file, and admits nobody without it', async () => {
    await fleet.fleetRoot('disable', 'signed', '--yes');
    await fleetroot.restart();
    const given = pki.file('.json');
    await copyFile(trustFile(), given);
    const copy = async (dir: string) => {
      using rows = new DatabaseSync(database(), { timeout: 10_000 });
      rows.exec(`VACUUM INTO '${join(dir, 'registry.db')}'`);
      await copyFile(fleetroot.file('master.key'), join(dir, 'master.key'));
    };
    {
      await using ignorant = await Fleetroot.start({ prepare: copy });
      const there = await Fleet.at(ignorant, 'owned');
      assert.equal(await there.arrive(known), 'certificate_untrusted');
      assert.match((await there.explain(known)).rule, /an owner key in the registry that this node does not know/);
    }
    await using told = await Fleetroot.start({ prepare: copy, options: { 'trust.owner_file': given } });
    const there = await Fleet.at(told, 'owned');
    assert.equal(await there.arrive(known), 'fleet_root_ca_disabled');
    await there.fleetRoot('activate', 'signed');
    await owner.consent(there);
    assert.equal(await there.arrive(known), 'in');
    // The file that it was given still names what has been lifted since.
    await told.restart();
    assert.equal(await there.arrive(known), 'in');
    // What it was told is its own from then on.
    const own = JSON.parse(await readFile(told.file('owner-trust.json'), 'utf8'));
    assert.equal(Object.values<any>(own.accounts)[0].set.number, 2);
  });

  test('a file that is damaged, that others may write, or that contradicts the one given stops the start', async () => {
    const kept = await readFile(trustFile());
    const restart = (content: string | Uint8Array, mode = 0o600) =>
      fleetroot.restart(async () => {
        await writeFile(trustFile(), content);
        await chmod(trustFile(), mode);
      });
    await assert.rejects(restart('{'), { code: 'conflict', message: /is no fleetroot-owner-trust/ });
    await assert.rejects(restart(kept, 0o666), { code: 'conflict', message: /others than its owner may write it/ });
    await restart(kept);
    assert.equal(await fleet.arrive(known), 'in');
    const other = JSON.parse(kept.toString());
    Object.values<any>(other.accounts)[0].name = 'another';
    const contradicting = await pki.write(JSON.stringify(other));
    await chmod(contradicting, 0o600);
    const options = { 'trust.owner_file': contradicting };
    await assert.rejects(
      Fleetroot.start({ options, prepare: (dir) => copyFile(trustFile(), join(dir, 'owner-trust.json')) }),
      {
        code: 'conflict',
        message: /contradicts what this node knows/,
      },
    );
  });

  test('a file that cannot be written stops no narrowing, and the operator is told', async () => {
    await mkdir(`${trustFile()}.new`);
    const { code, stderr } = await fleetroot.command('fleet-root', 'disable', 'owned', 'signed', '--yes');
    assert.equal(code, 1);
    assert.match(stderr, /owner-trust\.json cannot be written/);
    assert.equal(await fleet.arrive(known), 'fleet_root_ca_disabled');
    await fleet.fleetRoot('activate', 'signed');
    const document = await owner.draw(fleet);
    assert.match((await owner.apply(fleet, document)).stderr, /owner-trust\.json cannot be written/);
    await rm(`${trustFile()}.new`, { recursive: true });
    await applied(document);
    assert.equal((await pin()).set.number, 2);
    await fleet.fleetRoot('disable', 'signed', '--yes');
    assert.ok((await pin()).narrowings.length > 0);
  });

  test('a file that cannot be written keeps no key of an account that is deleted', async () => {
    const { id } = await fleetroot.json('account', 'show', 'owned');
    await mkdir(`${trustFile()}.new`);
    const { stderr } = await fleetroot.command('account', 'delete', 'owned', '--yes');
    assert.match(stderr, /owner-trust\.json cannot be written/);
    using rows = new DatabaseSync(database(), { readOnly: true });
    const keys = rows.prepare('SELECT destroyed_at, remembered FROM keys WHERE account_id = ?').all(id);
    assert.ok(keys.length > 0 && keys.every((key) => key['destroyed_at'] !== null && key['remembered'] === null));
  });

  test('an account that somebody took out of the registry stays known, until an operator says that it is gone', async () => {
    const { id } = await fleetroot.json('account', 'show', 'owned');
    const backup = fleetroot.file('backup.db');
    await fleetroot.restart(async () => {
      await copyFile(database(), backup);
      using rows = new DatabaseSync(database(), { timeout: 10_000 });
      rows.exec('UPDATE accounts SET ready_at = NULL');
    });
    assert.deepEqual(await fleetroot.json('account', 'list'), []);
    // Under its name nobody else is taken for it.
    const { stderr } = await fleetroot.command('account', 'create', 'owned');
    assert.match(stderr, new RegExp(`This node knows the name owned as that of the account ${id}`));
    await fleetroot.restart(async () => {
      await copyFile(backup, database());
      using rows = new DatabaseSync(database(), { timeout: 10_000 });
      rows.exec('UPDATE accounts SET owner_key = NULL');
    });
    assert.equal(await fleet.arrive(known), 'certificate_untrusted');
    await fleetroot.restart(async () => {
      using rows = new DatabaseSync(database(), { timeout: 10_000 });
      rows.exec('UPDATE accounts SET ready_at = NULL');
    });
    assert.match((await fleetroot.command('account', 'delete', id, '--yes')).stderr, /is forgotten now/);
    assert.equal((await fleetroot.json('account', 'create', 'owned')).name, 'owned');
  });

  test(`killed ${kills} times while it applies sets and narrows, it has done what it has answered`, async () => {
    await using directory = await temporaryDirectory();
    let server = await ServeProcess.start(directory.path, '--gateway-port', '0');
    const port = String(server.port);
    const command = async (...words: string[]) => {
      let said = '';
      const terminal = {
        out: (text: string | Uint8Array) => void (said += String(text)),
        err: () => {},
        ask: async () => null,
        askSecret: async () => null,
      };
      const code = await run([...words, '--data', directory.path, '--json'], {}, terminal);
      return code === 0 ? JSON.parse(said) : null;
    };
    await command('account', 'create', 'owned', '--kind', 'production', '--owner-key', owner.publicKey);
    await command('fleet-root', 'register', 'owned', root.certificate);
    await command('credentials', 'create', 'owned', '-o', directory.file('c.zip'));
    const image = await Image.unpack(directory.file('c.zip'));
    const device = image.withCertificate(known.certificate, known.key);
    for (let round = 0; round < kills; round += 1) {
      const document = pki.file('.json');
      await command('fleet-root', round === 0 ? 'show' : 'activate', 'owned', 'signed');
      await command('fleet-root', 'changes', 'owned', '-o', document);
      const signature = await owner.sign(document);
      const applying = command('fleet-root', 'apply', 'owned', document, signature).catch(() => null);
      const dying = pause((round / kills) * 12).then(() => server.kill());
      const answered = await applying;
      await dying;
      server = await ServeProcess.start(directory.path, '--gateway-port', port);
      const { trust_set } = await command('account', 'show', 'owned');
      assert.equal(trust_set.fault, null);
      if (answered) assert.equal(trust_set.number, answered.number);
      // Whether it was done or not, it is done now.
      assert.ok(await command('fleet-root', 'apply', 'owned', document, signature));
      assert.equal((await device.whoAmI()).status, 200);

      const closing = command('fleet-root', 'disable', 'owned', 'signed', '--yes').catch(() => null);
      const dyingAgain = pause((round / kills) * 8).then(() => server.kill());
      const closed = await closing;
      await dyingAgain;
      server = await ServeProcess.start(directory.path, '--gateway-port', port);
      const { status, json } = await device.whoAmI();
      if (closed) assert.deepEqual([status, json.code], [403, 'fleet_root_ca_disabled']);
      if (!closed) await command('fleet-root', 'disable', 'owned', 'signed', '--yes');
    }
    await server.stop();
  });
});
