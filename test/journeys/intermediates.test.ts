// CAs between the Fleet Root CA and the device: sent or registered, constrained, and shut out.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { Line } from '../support/line.ts';
import { Ca, caExtensions, type Credentials, deviceExtensions, Pki } from '../support/pki.ts';

describe('CAs between the Fleet Root CA and the device', () => {
  let fleetroot: Fleetroot;
  let pki: Pki;
  let root: Ca;
  let upper: Ca;
  let lower: Ca;
  let stranger: Ca;
  let fleet: Fleet;
  let devices = 0;

  before(async () => {
    [fleetroot, pki] = await Promise.all([Fleetroot.start(), Pki.open()]);
    root = await pki.guideRoot('root');
    upper = await root.intermediate('upper');
    lower = await upper.intermediate('lower');
    stranger = await pki.guideRoot('stranger');
    fleet = await Fleet.open(fleetroot, 'fleet', root);
  });
  after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  /** A new device under a CA, which shows these CAs' certificates too. */
  const newcomer = async (by: Ca, ...shown: readonly Ca[]): Promise<Credentials> => {
    devices += 1;
    return pki.chain(await by.device(`device-${devices}`), ...shown.map(({ certificate }) => certificate));
  };

  describe('that the device sends', () => {
    const orders: Record<string, () => Ca[]> = {
      'nearest first': () => [lower, upper],
      'furthest first': () => [upper, lower],
      'with the root': () => [lower, upper, root],
      'the root first': () => [root, upper, lower],
      'twice each': () => [upper, upper, lower, lower],
      'strangers among them': () => [stranger, upper, stranger, lower],
    };
    for (const [order, shown] of Object.entries(orders)) {
      test(`lead to the root: ${order}`, async () => {
        assert.equal(await fleet.arrive(await newcomer(lower, ...shown())), 'in');
      });
    }

    test('ten certificates are read, eleven refused', async () => {
      const nine = [lower, upper, ...Array.from({ length: 7 }, () => stranger)];
      assert.equal(await fleet.arrive(await newcomer(lower, ...nine)), 'in');
      assert.equal(await fleet.arrive(await newcomer(lower, ...nine, stranger)), 'certificate_invalid');
      const fifty = Array.from({ length: 49 }, () => lower);
      assert.equal(await fleet.arrive(await newcomer(lower, ...fifty)), 'certificate_invalid');
    });

    test('may run in circles without end, and the answer comes all the same', async () => {
      const [a, b] = [await pki.root('a'), await pki.root('b')];
      const circle = [await a.crossSign(b), await b.crossSign(a), a, b, await a.renewed(), await b.renewed()];
      assert.equal(await fleet.arrive(await newcomer(a, ...circle)), 'certificate_untrusted');
      const way = await root.crossSign(a);
      assert.equal(await fleet.arrive(await newcomer(a, ...circle, way)), 'in');
    });

    test('are missed where they are missing, and the refusal says which', async () => {
      const alone = await newcomer(lower);
      assert.equal(await fleet.arrive(alone), 'certificate_untrusted');
      assert.match(
        (await fleet.explain(alone)).rule,
        /The issuer of "CN=device-\d+", "CN=lower", was neither sent nor/,
      );
      const gap = await newcomer(lower, lower);
      assert.match((await fleet.explain(gap)).rule, /The issuer of "CN=lower", "CN=upper", was neither sent nor/);
    });

    const unfit: Record<string, readonly string[]> = {
      'not of X.509 version 1': [],
      'not a CA by its basicConstraints': ['basicConstraints=critical,CA:FALSE'],
      'not without basicConstraints': ['keyUsage=critical,keyCertSign'],
      'not without keyCertSign': ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,cRLSign'],
      'not with a critical extension that is unknown': [...caExtensions, '1.2.3.4.5=critical,ASN1:NULL'],
    };
    for (const [rule, extensions] of Object.entries(unfit)) {
      test(`must be CAs: ${rule}`, async () => {
        const impostor = await root.intermediate('impostor', { extensions });
        assert.equal(await fleet.arrive(await newcomer(impostor, impostor)), 'certificate_invalid');
        assert.match((await fleet.explain(await newcomer(impostor, impostor))).rule, /"CN=impostor" /);
      });
    }

    test('must not be devices: one that signs another makes nobody', async () => {
      const device = await newcomer(root);
      assert.equal(await fleet.arrive(device), 'in');
      const forged = await new Ca(pki, device).device('forged');
      assert.equal(await fleet.arrive(await pki.chain(forged, device.certificate)), 'certificate_invalid');
    });

    test('may have any extendedKeyUsage: that of a CA decides nothing', async () => {
      const server = await root.intermediate('server', {
        extensions: [...caExtensions, 'extendedKeyUsage=critical,serverAuth'],
      });
      assert.equal(await fleet.arrive(await newcomer(server, server)), 'in');
    });

    test('may be weak in nothing', async () => {
      const env = await pki.lenient();
      const short = await root.intermediate('short', { keyType: 'rsa1024' });
      assert.equal(await fleet.arrive(await newcomer(short, short), { env }), 'certificate_invalid');
      const sha1 = await root.intermediate('sha1', { digest: 'sha1' });
      assert.equal(await fleet.arrive(await newcomer(sha1, sha1), { env }), 'certificate_invalid');
    });
  });

  describe('that are registered, for devices that send their leaf alone', () => {
    test('count as if they had been sent', async () => {
      const account = await Fleet.open(fleetroot, 'registered', root);
      const alone = await newcomer(lower);
      assert.equal(await account.arrive(alone), 'certificate_untrusted');
      const shown = await account.fleetRoot(
        'add-intermediate',
        'root',
        await pki.bundle(lower.certificate, upper.certificate),
      );
      assert.equal(shown.certificates.length, 3);
      assert.equal(await account.arrive(alone), 'in');
      const again = await account.fleetRoot('add-intermediate', 'root', upper.certificate);
      assert.equal(again.certificates.length, 3);
    });

    test('must be issued under that root, and be CAs', async () => {
      const account = await Fleet.open(fleetroot, 'not-any', root);
      const refused = async (file: string): Promise<string> => {
        const outcome = await fleetroot.command('fleet-root', 'add-intermediate', 'not-any', 'root', file);
        assert.equal(outcome.code, 1);
        return outcome.stderr;
      };
      const strange = await stranger.intermediate('strange');
      assert.match(await refused(strange.certificate), /not issued under this Fleet Root CA/);
      assert.match(await refused(lower.certificate), /not issued under this Fleet Root CA/);
      assert.match(await refused((await newcomer(root)).certificate), /is no CA certificate/);
      assert.match(await refused(await pki.bundle(upper.certificate, upper.key)), /private key/);
      assert.equal(await account.arrive(await newcomer(lower)), 'certificate_untrusted');
    });
  });

  describe('as the Fleet Root CA itself', () => {
    let plant: Ca;
    let account: Fleet;
    before(async () => {
      plant = await root.intermediate('plant', {
        extensions: ['basicConstraints=critical,CA:TRUE,pathlen:1', caExtensions[1]],
      });
      account = await Fleet.open(fleetroot, 'plant', plant);
    });

    test('a subordinate CA is trusted without the one above it', async () => {
      assert.equal(await account.arrive(await newcomer(plant)), 'in');
      assert.equal(await account.arrive(await newcomer(plant, plant, root)), 'in');
      assert.equal(await account.arrive(await newcomer(root)), 'certificate_untrusted');
      assert.equal(await account.arrive(await newcomer(upper, upper, root)), 'certificate_untrusted');
    });

    test('its own path length holds, and CAs that renew themselves are not counted', async () => {
      const first = await plant.intermediate('first');
      assert.equal(await account.arrive(await newcomer(first, first)), 'in');
      const second = await first.intermediate('second');
      assert.equal(await account.arrive(await newcomer(second, second, first)), 'certificate_invalid');
      assert.match(
        (await account.explain(await newcomer(second, second, first))).rule,
        /"CN=second" is one CA more than/,
      );
      const key = await pki.newKey();
      const renewed = await first.intermediate('first', { key });
      assert.equal(await account.arrive(await newcomer(renewed, renewed, first)), 'in');
    });

    test('its own name constraints hold, for the subject and for every other form of name', async () => {
      const constrained = await root.intermediate('constrained', {
        extensions: [
          ...caExtensions,
          'nameConstraints=critical,permitted;dirName:fleet,permitted;DNS:fleet.example,excluded;email:evil.example',
          '[fleet]',
          'O=Fleet',
        ],
      });
      const constrainedAccount = await Fleet.open(fleetroot, 'constrained', constrained);
      const arrive = async (subject: string, ...extensions: string[]): Promise<string> =>
        constrainedAccount.arrive(
          await constrained.device('', { subject, extensions: [...deviceExtensions, ...extensions] }),
        );
      assert.equal(await arrive('/O=Fleet/CN=nc-1'), 'in');
      assert.equal(await arrive('/O=fleet /CN=nc-2'), 'in', 'names are compared as RFC 5280 §7.1 has it');
      assert.equal(await arrive('/O=Other/CN=nc-3'), 'certificate_invalid');
      assert.equal(await arrive('/CN=nc-4/O=Fleet'), 'certificate_invalid');
      assert.equal(await arrive('/O=Fleet/CN=nc-5', 'subjectAltName=DNS:car.fleet.example'), 'in');
      assert.equal(await arrive('/O=Fleet/CN=nc-6', 'subjectAltName=DNS:car.other.example'), 'certificate_invalid');
      assert.equal(await arrive('/O=Fleet/CN=nc-7', 'subjectAltName=email:a@evil.example'), 'certificate_invalid');
      assert.equal(await arrive('/O=Fleet/CN=nc-8/emailAddress=a@evil.example'), 'certificate_invalid');
      assert.equal(await arrive('/O=Fleet/CN=nc-9/emailAddress=a@good.example'), 'in');
    });

    test('registering the CA above it as well gives two Fleet Root CAs, and its devices stay its own', async () => {
      const both = await Fleet.open(fleetroot, 'both', plant);
      const device = await newcomer(plant, plant);
      assert.equal(await both.arrive(device), 'in');
      await both.register(root);
      assert.equal(await both.arrive(device), 'in');
      const roots = (await both.fleetRoot('list')).map(({ name, devices: count }: Record<string, unknown>) => [
        name,
        count,
      ]);
      assert.deepEqual(roots, [
        ['plant', 1],
        ['root', 0],
      ]);
    });
  });

  describe('that are distrusted', () => {
    let account: Fleet;
    let stolen: Ca;
    let good: Ca;
    before(async () => {
      [stolen, good] = [await root.intermediate('stolen'), await root.intermediate('good')];
      account = await Fleet.open(fleetroot, 'distrusting', root, upper);
    });

    test('let nobody in, known or new, and the others go on', async () => {
      const [known, beside] = [await newcomer(stolen, stolen), await newcomer(good, good)];
      assert.equal(await account.arrive(known), 'in');
      assert.equal(await account.arrive(beside), 'in');
      using line = await Line.open(account.image.withCertificate(known.certificate, known.key));
      line.send('GET', '/device');
      assert.equal((await line.reply())?.status, 200);

      await account.fleetRoot('distrust', stolen.certificate, '--yes');
      await line.closed();
      assert.equal(await account.arrive(known), 'certificate_untrusted');
      assert.match((await account.explain(known)).rule, /a CA key that this account distrusts/);
      assert.match((await account.explain(known)).remedy, /fleet-root trust/);
      assert.equal(await account.arrive(await newcomer(stolen, stolen)), 'certificate_untrusted');
      assert.equal(await account.arrive(beside), 'in');
    });

    test('stay so with a new certificate for the same key, under another name, or from another root', async () => {
      const renewed = await root.intermediate('stolen', { key: stolen.key });
      assert.equal(await account.arrive(await newcomer(renewed, renewed)), 'certificate_untrusted');
      const renamed = await root.intermediate('innocent', { key: stolen.key });
      assert.equal(await account.arrive(await newcomer(renamed, renamed)), 'certificate_untrusted');
      const cross = await upper.crossSign(stolen);
      assert.equal(await account.arrive(await newcomer(stolen, cross)), 'certificate_untrusted');
      const deeper = await renamed.intermediate('deeper');
      assert.equal(await account.arrive(await newcomer(deeper, deeper, renamed)), 'certificate_untrusted');
      const added = await fleetroot.command(
        'fleet-root',
        'add-intermediate',
        'distrusting',
        'root',
        renamed.certificate,
      );
      assert.equal(added.code, 1);
      assert.match(added.stderr, /distrusts the key of CN=innocent/);
      assert.match((await account.registerRefused(renamed.certificate)).stderr, /distrusts the key/);
      const other = await pki.root('other');
      const below = await other.intermediate('below', { key: stolen.key });
      const bundle = await pki.bundle(other.certificate, below.certificate);
      assert.match((await account.registerRefused(bundle)).stderr, /distrusts the key of CN=below/);
    });

    test('do not shut out a device that has another way to the root', async () => {
      const key = await pki.newKey();
      const [one, other] = [await stolen.intermediate('shared', { key }), await good.intermediate('shared', { key })];
      assert.equal(await account.arrive(await newcomer(one, one, stolen)), 'certificate_untrusted');
      assert.equal(await account.arrive(await newcomer(one, one, stolen, other, good)), 'in');
    });

    test('are trusted again with any certificate for that key', async () => {
      const known = await newcomer(stolen, stolen);
      const renamed = await root.intermediate('innocent', { key: stolen.key });
      assert.equal((await fleetroot.json('account', 'show', 'distrusting')).distrusted_keys.length, 1);
      await account.fleetRoot('trust', renamed.certificate);
      assert.deepEqual((await fleetroot.json('account', 'show', 'distrusting')).distrusted_keys, []);
      assert.equal(await account.arrive(known), 'in');
      const { code, stderr } = await fleetroot.command('fleet-root', 'trust', 'distrusting', renamed.certificate);
      assert.equal(code, 1);
      assert.match(stderr, /does not distrust the key of this certificate/);
    });

    test('are named by one certificate: a file with two is refused', async () => {
      const two = await pki.bundle(stolen.certificate, good.certificate);
      const { code, stderr } = await fleetroot.command('fleet-root', 'distrust', 'distrusting', two, '--yes');
      assert.equal(code, 1);
      assert.match(stderr, /There are 2 certificates in the file/);
    });
  });
});
