// Owner-signed trust: what operators wish counts once the owner has signed it, what they shut out is out at once.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { Line } from '../support/line.ts';
import { Owner, type OwnerKeyType, spkiSha256 } from '../support/owner.ts';
import { type Ca, type Credentials, Pki } from '../support/pki.ts';
import { needs } from '../support/require.ts';

describe(
  'a production account whose owner signs',
  { skip: needs('openssl', 'curl', 'unzip'), timeout: 300_000 },
  () => {
    let fleetroot: Fleetroot;
    let pki: Pki;
    let owner: Owner;
    let root: Ca;
    let made = 0;

    before(async () => {
      [fleetroot, pki] = await Promise.all([Fleetroot.start(), Pki.open()]);
      [owner, root] = await Promise.all([Owner.open(pki), pki.guideRoot('signed')]);
    });
    after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

    /** An account of the owner with a signed root and a device of it that is known. */
    const open = async (): Promise<{ fleet: Fleet; known: Credentials }> => {
      const fleet = await Fleet.openOwned(fleetroot, `owned-${(made += 1)}`, owner.publicKey, root);
      await owner.consent(fleet);
      const known = await root.guideDevice('known');
      assert.equal(await fleet.arrive(known), 'in');
      return { fleet, known };
    };

    const trustFile = async () => JSON.parse(await readFile(fleetroot.file('owner-trust.json'), 'utf8'));
    const show = (fleet: Fleet) => fleetroot.json('account', 'show', fleet.account);
    const refuses = async (fleet: Fleet, document: string, signature: string, what: RegExp) => {
      const { code, stderr } = await fleetroot.command('fleet-root', 'apply', fleet.account, document, signature);
      assert.equal(code, 1);
      assert.match(stderr, what);
    };

    for (const keyType of ['p256', 'p384', 'ed25519'] satisfies OwnerKeyType[]) {
      test(`admits nobody under a registered Fleet Root CA until it is signed, here with ${keyType}`, async () => {
        const signer = await Owner.open(pki, keyType);
        const fleet = await Fleet.openOwned(fleetroot, `signed-${keyType}`, signer.publicKey);
        assert.deepEqual((await show(fleet)).owner_key, {
          algorithm: keyType,
          sha256: await spkiSha256(signer.publicKey),
        });
        const registered = await fleetroot.command('fleet-root', 'register', fleet.account, root.certificate);
        assert.equal(registered.code, 0);
        assert.match(registered.stderr, /waits for the owner's signature/);
        const device = await root.guideDevice(`device-${keyType}`);
        assert.equal(await fleet.arrive(device), 'certificate_untrusted');
        const [waiting] = await fleet.fleetRoot('list');
        assert.deepEqual([waiting.signed, waiting.counts, waiting.waiting], ['none', 'none', true]);

        await signer.consent(fleet);
        assert.equal(await fleet.arrive(device), 'in');
        const [signed] = await fleet.fleetRoot('list');
        assert.deepEqual([signed.signed, signed.counts, signed.waiting], ['active', 'active', false]);
        const { trust_set } = await show(fleet);
        assert.deepEqual(
          [trust_set.number, trust_set.waiting, trust_set.narrowed, trust_set.fault],
          [1, false, [], null],
        );
      });
    }

    test('takes a certificate of the owner key, PEM or DER, for the key', async () => {
      const holder = await pki.root('Owner');
      const der = pki.file('.der');
      await pki.openssl('x509', '-in', holder.certificate, '-outform', 'DER', '-out', der);
      const spki = pki.file('.der');
      await pki.openssl('pkey', '-in', holder.key, '-pubout', '-outform', 'DER', '-out', spki);
      for (const [index, file] of [holder.certificate, der, spki].entries()) {
        const fleet = await Fleet.openOwned(fleetroot, `by-certificate-${index}`, file);
        assert.equal((await show(fleet)).owner_key.sha256, await spkiSha256(holder.certificate));
      }
      const fleet = await Fleet.openOwned(fleetroot, 'by-its-holder', holder.certificate, root);
      await Owner.certified(pki, holder).consent(fleet);
      assert.equal(await fleet.arrive(await root.guideDevice('known')), 'in');
    });

    test('refuses a private key without a word of it, a test account, and keys that could not sign', async () => {
      const rsa = pki.file('.pub');
      await pki.openssl('pkey', '-in', await pki.newKey('rsa2048'), '-pubout', '-out', rsa);
      const der = pki.file('.der');
      await pki.openssl('pkey', '-in', owner.key, '-outform', 'DER', '-out', der);
      const sec1 = pki.file('.sec1');
      await pki.openssl('pkey', '-in', owner.key, '-traditional', '-out', sec1);
      const secret = (await readFile(owner.key, 'utf8')).split('\n')[1]!;
      for (const [file, kind, what] of [
        [owner.key, 'production', /There is a private key in the file/],
        [der, 'production', /There is a private key in the file/],
        [sec1, 'production', /There is a private key in the file/],
        [await pki.bundle(owner.publicKey, owner.key), 'production', /There is a private key in the file/],
        [owner.publicKey, 'test', /A test account has no owner key/],
        [rsa, 'production', /of a kind that is not accepted/],
        [await pki.bundle(owner.publicKey, owner.publicKey), 'production', /more than one block/],
        [await pki.write('nothing'), 'production', /neither a public key nor a certificate/],
      ] as const) {
        const words = ['account', 'create', 'refused', '--kind', kind, '--owner-key', file];
        const { code, stdout, stderr } = await fleetroot.command(...words);
        assert.equal(code, 1);
        assert.match(stderr, what);
        assert.ok(!(stdout + stderr).includes(secret));
      }
      assert.ok(!JSON.stringify(await fleetroot.json('account', 'list')).includes('"refused"'));
    });

    test('refuses a key that custody holds', async () => {
      const testing = await Fleet.openTest(fleetroot, 'with-held-keys');
      const [{ certificates }] = await testing.fleetRoot('list');
      const file = await pki.write(certificates[0].certificate);
      const words = ['account', 'create', 'refused', '--kind', 'production', '--owner-key', file];
      const { stderr } = await fleetroot.command(...words);
      assert.match(stderr, /This server holds, or has held, the private key of the owner key/);
    });

    test('has a document drawn that a person can read, which says what is new, and nothing where nothing is', async () => {
      const fleet = await Fleet.openOwned(fleetroot, 'readable', owner.publicKey, root);
      const file = pki.file('.json');
      const drawn = await fleetroot.command('fleet-root', 'changes', 'readable', '-o', file);
      assert.match(
        drawn.stdout,
        /set 1, SHA-256 [0-9a-f]{64}\. Signed, it changes:\n  new       The Fleet Root CA "signed"/,
      );
      const text = await readFile(file, 'utf8');
      const document = JSON.parse(text);
      assert.deepEqual(
        [document.format, document.version, document.number, document.previous_sha256, document.account.name],
        ['fleetroot-trust-set', 1, 1, null, 'readable'],
      );
      assert.equal(document.fleet_root_cas[0].certificates[0].certificate, await readFile(root.certificate, 'utf8'));
      assert.equal((await stat(file)).mode & 0o777, 0o600);
      assert.equal((await owner.apply(fleet, file)).code, 0);
      const again = pki.file('.json');
      const nothing = await fleetroot.command('fleet-root', 'changes', 'readable', '-o', again);
      assert.deepEqual([nothing.code, /There is nothing to sign/.test(nothing.stdout)], [0, true]);
      await assert.rejects(stat(again), { code: 'ENOENT' });
      // What counts already is no error: the answer may have been lost.
      assert.equal((await owner.apply(fleet, file)).code, 0);
    });

    test('is for accounts with an owner alone', async () => {
      const plain = await Fleet.open(fleetroot, 'plain', root);
      const { stderr } = await fleetroot.command('fleet-root', 'changes', 'plain', '-o', pki.file('.json'));
      assert.match(stderr, /The account plain has no owner key/);
      const { owner_key, trust_set, fleet_root_cas } = await show(plain);
      assert.deepEqual(
        [owner_key, trust_set, fleet_root_cas[0].signed, fleet_root_cas[0].waiting],
        [null, null, null, false],
      );
    });

    test('refuses a set that is changed, signed by another, of another account, or out of turn', async () => {
      const { fleet } = await open();
      const { fleet: other } = await open();
      await fleet.register(await pki.guideRoot('second'));
      const document = await owner.draw(fleet);
      const signature = await owner.sign(document);
      const text = await readFile(document, 'utf8');
      await refuses(
        fleet,
        await pki.write(text.replace('"closed"', '"active"').replace('second', 'secand')),
        signature,
        /signature is not one|no set that can count/,
      );
      await refuses(fleet, await pki.write(text.replaceAll('  ', ' ')), signature, /not written as it was drawn/);
      await refuses(
        fleet,
        await pki.write(text.replace('"version": 1,', '"version": 1,\n  "more": 1,')),
        signature,
        /no fleetroot-trust-set/,
      );
      await refuses(fleet, await pki.write(`${text}\n`), signature, /not written as it was drawn/);
      await refuses(fleet, document, await (await Owner.open(pki)).sign(document), /The signature is not one/);
      await refuses(
        fleet,
        document,
        await pki.write('no signature'),
        /The signature is not one[^]*openssl dgst -sha256/,
      );
      await refuses(other, document, signature, /The set is of the account owned-/);
      const gap = await pki.write(text.replace('"number": 2', '"number": 3'));
      await refuses(fleet, gap, await owner.sign(gap), /Apply the sets in between first/);
      const alternative = await pki.write(text.replace(/("previous_sha256": ")[^"]*/, `$1${'0'.repeat(64)}`));
      await refuses(fleet, alternative, await owner.sign(alternative), /was drawn to come after another set 1/);
      assert.equal((await fleetroot.command('fleet-root', 'apply', fleet.account, document, signature)).code, 0);
      const old = await pki.write(text.replace(/"drawn_at": "[^"]*"/, '"drawn_at": "2020-01-01T00:00:00.000Z"'));
      await refuses(fleet, old, await owner.sign(old), /has the number 2, and set 2 has been accepted/);
    });

    test('disable acts at once, without a signature, and is kept outside the database', async () => {
      const { fleet, known } = await open();
      using line = await Line.open(fleet.image.withCertificate(known.certificate, known.key));
      line.send('GET', '/device');
      assert.equal((await line.reply())?.status, 200);
      const disabled = await fleet.fleetRoot('disable', 'signed', '--yes');
      assert.deepEqual([disabled.signed, disabled.counts, disabled.waiting], ['active', 'disabled', false]);
      // It is in the file by the time that the operator has the answer.
      const { id } = await show(fleet);
      const [narrowing] = (await trustFile()).accounts[id].narrowings;
      assert.deepEqual([narrowing.kind, narrowing.fleet_root_ca, narrowing.set], ['disable', disabled.id, 1]);
      await line.closed();
      assert.equal(await fleet.arrive(known), 'fleet_root_ca_disabled');

      // To let it in again is to widen: `activate` is a wish, and says so.
      const { stdout, stderr } = await fleetroot.command('fleet-root', 'activate', fleet.account, 'signed');
      assert.match(stdout, /The Fleet Root CA signed is active/);
      assert.match(stderr, /waits for the owner's signature/);
      assert.equal(await fleet.arrive(known), 'fleet_root_ca_disabled');
      await fleetroot.restart();
      assert.equal(await fleet.arrive(known), 'fleet_root_ca_disabled');
      const document = await owner.draw(fleet);
      const { lifts } = JSON.parse(await readFile(document, 'utf8'));
      assert.deepEqual(
        lifts.map((each: { id: string }) => each.id),
        [narrowing.id],
      );
      assert.equal((await owner.apply(fleet, document)).code, 0);
      assert.equal(await fleet.arrive(known), 'in');
      assert.deepEqual((await trustFile()).accounts[id].narrowings, []);
    });

    test('a set drawn before something was shut out does not let it in again, even where the same was shut out before', async () => {
      const { fleet, known } = await open();
      await fleet.fleetRoot('close', 'signed', '--yes');
      await fleet.fleetRoot('activate', 'signed');
      const byDay = await owner.draw(fleet);
      const signature = await owner.sign(byDay);
      const renewed = await root.guideDevice('known');
      assert.equal(await fleet.arrive(renewed), 'in', 'known, with a new certificate, while the row says active');
      await fleet.fleetRoot('close', 'signed', '--yes');
      await refuses(
        fleet,
        byDay,
        signature,
        /neither carries nor lifts what has been narrowed meanwhile: The close of the Fleet Root CA "signed" at [^]*Draw it anew/,
      );
      assert.equal(await fleet.arrive(await root.guideDevice('newcomer')), 'fleet_root_ca_closed');
      assert.equal(await fleet.arrive(known), 'in');
      // The closed state, signed, settles both.
      await owner.consent(fleet);
      const { trust_set } = await show(fleet);
      assert.deepEqual([trust_set.number, trust_set.narrowed, trust_set.waiting], [2, [], false]);
      assert.equal(await fleet.arrive(await root.guideDevice('newcomer')), 'fleet_root_ca_closed');
      assert.equal(await fleet.arrive(await root.guideDevice('known')), 'in', 'a known device with a new certificate');
      // Nor where what is signed is closed already: that the operator says it again is news to the set drawn before.
      await fleet.fleetRoot('activate', 'signed');
      const nextDay = await owner.draw(fleet);
      await fleet.fleetRoot('close', 'signed', '--yes');
      await refuses(fleet, nextDay, await owner.sign(nextDay), /neither carries nor lifts/);
    });

    test('a row narrows too, whoever wrote it', async () => {
      const { fleet, known } = await open();
      const { id } = await show(fleet);
      using rows = new DatabaseSync(fleetroot.file('registry.db'), { timeout: 5000 });
      const read = () => fleetroot.json('account', 'set', fleet.account, '--rekey', 'accept');
      rows.prepare("UPDATE fleet_root_cas SET state = 'closed' WHERE account_id = ?").run(id);
      await read();
      assert.equal(await fleet.arrive(await root.guideDevice('newcomer')), 'fleet_root_ca_closed');
      assert.equal(await fleet.arrive(known), 'in');
      rows
        .prepare(
          `INSERT INTO distrusted_keys SELECT account_id, public_key_sha256, certificate, 1
         FROM fleet_root_certificates WHERE account_id = ?`,
        )
        .run(id);
      await read();
      assert.equal(await fleet.arrive(known), 'certificate_untrusted');
    });

    test('distrust acts at once, and `trust` waits for the signature', async () => {
      const fleet = await Fleet.openOwned(fleetroot, 'with-lines', owner.publicKey, root);
      await owner.consent(fleet);
      const plant = await root.intermediate('Line 1');
      const device = await pki.chain(await plant.device('of-line-1'), plant.certificate);
      assert.equal(await fleet.arrive(device), 'in');
      await fleet.fleetRoot('distrust', plant.certificate, '--yes');
      assert.equal(await fleet.arrive(device), 'certificate_untrusted');
      const { stdout, stderr } = await fleetroot.command('fleet-root', 'trust', fleet.account, plant.certificate);
      assert.match(stdout, /stays distrusted for now/);
      assert.match(stderr, /waits for the owner's signature/);
      assert.equal(await fleet.arrive(device), 'certificate_untrusted');
      await owner.consent(fleet);
      assert.equal(await fleet.arrive(device), 'in');
      await fleet.fleetRoot('distrust', plant.certificate, '--yes');
      await owner.consent(fleet);
      assert.deepEqual((await show(fleet)).trust_set.narrowed, []);
      assert.equal(await fleet.arrive(device), 'certificate_untrusted');
    });

    test('a further certificate, a closed state and a successor: what widens waits, and a move stays inside what is signed', async () => {
      const { fleet, known } = await open();
      const next = await pki.guideRoot('next');
      await fleet.register(next);
      await fleet.fleetRoot('successor', 'signed', 'next');
      const moved = await next.guideDevice('known');
      assert.equal(await fleet.arrive(moved), 'certificate_untrusted');
      await owner.consent(fleet);
      assert.equal(await fleet.arrive(moved), 'in');
      assert.equal(await fleet.arrive(known), 'device_id_conflict');
    });

    test('a Fleet Root CA whose certificate has ended meanwhile hinders no later set', async () => {
      const { fleet } = await open();
      const short = await pki.root('short', { validity: { from: Date.now() - 60_000, to: Date.now() + 2_000 } });
      await fleet.register(short);
      await owner.consent(fleet);
      while (Date.now() < Date.parse((await fleet.fleetRoot('show', 'short')).not_after)) await fleet.devices();
      await fleet.register(await pki.guideRoot('after-it'));
      await owner.consent(fleet);
      assert.equal((await show(fleet)).trust_set.number, 3);
    });

    test('what could not be registered does not come in by a signature either', async () => {
      const { fleet } = await open();
      const { id } = await show(fleet);
      const testing = await Fleet.openTest(fleetroot, 'with-a-generated-root');
      const [{ certificates }] = await testing.fleetRoot('list');
      const leaf = await readFile((await root.guideDevice('no-ca')).certificate, 'utf8');
      for (const [name, pem, what] of [
        [
          'ours',
          certificates[0].certificate,
          /This server holds, or has held, the private key of the Fleet Root CA "ours"/,
        ],
        ['a device', leaf, /A certificate of the Fleet Root CA "a device" .* is no CA certificate/],
      ] as const) {
        const ca = crypto.randomUUID();
        using rows = new DatabaseSync(fleetroot.file('registry.db'), { timeout: 5000 });
        rows
          .prepare(
            "INSERT INTO fleet_root_cas VALUES (?, ?, ?, 'registered', 'active', NULL, x'00', ?, NULL, 1, 'chain')",
          )
          .run(id, ca, name, ca);
        rows
          .prepare("INSERT INTO fleet_root_certificates VALUES (?, ?, 'anchor', ?, ?, ?, 1, 1)")
          .run(id, ca, ca, ca, new X509Certificate(pem).raw);
        const document = await owner.draw(fleet);
        await refuses(fleet, document, await owner.sign(document), what);
        rows.prepare('DELETE FROM fleet_root_certificates WHERE fleet_root_ca_id = ?').run(ca);
        rows.prepare('DELETE FROM fleet_root_cas WHERE id = ?').run(ca);
      }
    });

    test('the file is for its owner alone, and goes without the account that is deleted', async () => {
      const { fleet } = await open();
      assert.equal((await stat(fleetroot.file('owner-trust.json'))).mode & 0o777, 0o600);
      const { id } = await show(fleet);
      await fleetroot.json('account', 'host', 'add', fleet.account, 'owned.example');
      const { hosts } = (await trustFile()).accounts[id];
      assert.deepEqual(hosts, [`${id}.gateway.localhost`, 'owned.example']);
      await fleetroot.json('account', 'host', 'remove', fleet.account, 'owned.example', '--yes');
      assert.deepEqual((await trustFile()).accounts[id].hosts, [`${id}.gateway.localhost`]);
      await fleetroot.json('account', 'delete', fleet.account, '--yes');
      assert.equal((await trustFile()).accounts[id], undefined);
    });

    test('a node that has lost its file does not guess', async () => {
      const { fleet, known } = await open();
      const path = fleetroot.file('owner-trust.json');
      const kept = await readFile(path);
      await fleetroot.restart(() => writeFile(path, '{"format":"fleetroot-owner-trust","version":1,"accounts":{}}'));
      assert.equal(await fleet.arrive(known), 'certificate_untrusted');
      assert.match((await fleet.explain(known)).rule, /an owner key in the registry that this node does not know/);
      assert.match((await fleet.refusal({ code: 'certificate_untrusted' })).remedy, /trust\.owner_file/);
      const changes = await fleetroot.command('fleet-root', 'changes', fleet.account, '-o', pki.file('.json'));
      assert.match(changes.stderr, /this node does not know/);
      await fleetroot.restart(() => writeFile(path, kept));
      assert.equal(await fleet.arrive(known), 'in');
    });
  },
);
