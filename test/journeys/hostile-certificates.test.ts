// Certificates made to confuse: forged, malformed, huge, by the dozen. Each is refused and kept on record; nobody falls.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { certificateToPem } from '../../src/x509/certificate.ts';
import { oid, sequence, set, utf8String } from '../../src/x509/der-write.ts';
import { commonName } from '../../src/x509/name.ts';
import {
  extension,
  extendedKeyUsage,
  general,
  makeDer,
  newKey,
  type Shape,
  subjectAltName,
} from '../support/certificate-maker.ts';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { openP12 } from '../support/image.ts';
import { Ca, type Credentials, Pki } from '../support/pki.ts';
import { execute } from '../support/process.ts';
import { needs } from '../support/require.ts';

const validity = { notBefore: Date.now() - 86_400_000, notAfter: Date.now() + 86_400_000 };

describe('a certificate that is made to confuse', { skip: needs('openssl', 'curl') }, () => {
  let fleetroot: Fleetroot;
  let fleet: Fleet;
  let pki: Pki;
  let root: Ca;
  let real: Credentials;

  before(async () => {
    pki = await Pki.open();
    root = await pki.root('Hostile journeys root');
    fleetroot = await Fleetroot.start();
    fleet = await Fleet.openTest(fleetroot, 'acme', root);
    real = await root.guideDevice('real');
    assert.equal(await fleet.arrive(real), 'in');
  });
  after(async () => {
    await fleetroot[Symbol.asyncDispose]();
    await pki[Symbol.asyncDispose]();
  });

  /** The code of the refusal; null where TLS has ended it before any reply. */
  async function refused(credentials: Credentials, tls: '1.2' | '1.3' = '1.3'): Promise<string | null> {
    const answer = await fleet.connect(credentials, { tls });
    assert.notEqual(answer.status, 200, 'it got in');
    if (answer.status === 0) return null;
    assert.equal(answer.status, 403);
    return answer.json.code;
  }

  const stillServed = async (): Promise<void> => assert.equal((await fleet.connect(real)).json.device_id, 'real');

  /** DER that is as wrong as it likes, with a key. */
  async function crafted(shape: Shape): Promise<Credentials> {
    const key = newKey();
    return {
      certificate: await pki.write(
        certificateToPem(makeDer({ ...validity, subject: 'real', by: await root.made(), ...shape }, key)),
      ),
      key: await pki.write(key.privateKey.export({ type: 'pkcs8', format: 'pem' }), '.key'),
    };
  }

  describe('forged', () => {
    test('in the name of the Fleet Root CA, whose certificate is public and sent along, it says that the key is another', async () => {
      const forger = await pki.root('Hostile journeys root', {
        extensions: ['basicConstraints=critical,CA:TRUE', 'subjectKeyIdentifier=hash'],
      });
      for (const others of [[], [root.certificate], [forger.certificate], [root.certificate, forger.certificate]]) {
        const leaf = await pki.chain(await forger.device('real'), ...others);
        for (const tls of ['1.2', '1.3'] as const) assert.equal(await refused(leaf, tls), 'certificate_untrusted');
        assert.match((await fleet.explain(leaf)).rule, /not signed by the key of that CA/);
      }
    });

    test('in the name of the generated one, from the bag of a device', async () => {
      const answer = await fleet.image.provision('bag-owner');
      const p12 = await pki.write(answer.body, '.p12');
      const bag = await openP12(p12, p12);
      const [generated = ''] = (await readFile(bag.cas, 'utf8')).match(/-----BEGIN[^]*?END CERTIFICATE-----\n/g) ?? [];
      const { stdout } = await execute('openssl', ['x509', '-noout', '-subject', '-nameopt', 'compat'], {
        input: generated,
      });
      const subject = stdout.trim().replace(/^subject= ?/, '');
      const forger = new Ca(pki, await pki.issue(null, 'x', { subject, extensions: ['basicConstraints=CA:TRUE'] }));
      assert.equal(await refused(await forger.device('bag-owner')), 'certificate_untrusted');
      // Who has a device's certificate and key is a device, and no CA.
      const byDevice = new Ca(pki, { certificate: bag.certificate, key: bag.key });
      const child = await pki.chain(await byDevice.device('child'), bag.certificate);
      assert.equal(await refused(child), 'certificate_invalid');
    });

    test('by another account of the server, whose root has the same name', async () => {
      const twin = await pki.root('Hostile journeys root');
      const other = await Fleet.openTest(fleetroot, 'other', twin);
      assert.equal(await other.arrive(await twin.device('real')), 'in');
      assert.equal(await refused(await twin.device('real')), 'certificate_untrusted');
    });
  });

  test('malformed where TLS does not look, it is no certificate, and the record has it as it came', async () => {
    // What the client's own libssl would not load cannot be shown here.
    const malformed: Shape[] = [
      { extensions: [extension('2.5.29.19', Buffer.of(0x30, 0x03, 0x01, 0x01, 0x01))] },
      { extensions: [extension('2.5.29.19', Buffer.concat([sequence(), Buffer.of(0)]))] },
      { extensions: [extension('2.5.29.37', sequence())] },
      { version: 2, extensions: [extendedKeyUsage(false, '1.3.6.1.5.5.7.3.2')] },
      { version: 4 },
      { outerIdentifier: sequence(oid('1.2.840.10045.4.3.3')) },
    ];
    for (const shape of malformed) {
      const credentials = await crafted(shape);
      assert.equal(await refused(credentials), 'certificate_invalid');
      await stillServed();
    }
    const refusal = await fleet.refusal({ code: 'certificate_invalid', device_id: null });
    assert.match(refusal.certificates, /^-----BEGIN CERTIFICATE-----\n/);
  });

  test('with a critical extension that nobody knows, it is refused, which is what critical means', async () => {
    const credentials = await crafted({ extensions: [extension('1.3.6.1.4.1.99999.1', Buffer.of(5, 0), true)] });
    assert.equal(await refused(credentials), 'certificate_invalid');
    const harmless = await crafted({
      subject: 'harmless',
      extensions: [extension('1.3.6.1.4.1.99999.1', Buffer.of(5, 0))],
    });
    assert.equal(await fleet.arrive(harmless), 'in');
  });

  test('with a key of a kind that proves nothing here, it does not get in', async () => {
    const dsa = pki.file('.key');
    await pki.shell('openssl dsaparam -genkey -out "$key" 2048 2>&1', { key: dsa });
    const explicit = pki.file('.key');
    await pki.shell('openssl ecparam -name prime256v1 -genkey -noout -param_enc explicit -out "$key"', {
      key: explicit,
    });
    const bitcoin = pki.file('.key');
    await pki.shell('openssl ecparam -name secp256k1 -genkey -noout -out "$key"', { key: bitcoin });
    for (const key of [dsa, explicit, bitcoin]) {
      const leaf = await root.device('odd-key', { key });
      for (const tls of ['1.2', '1.3'] as const) {
        // Its own TLS keeps it back, ours does not take it, or it is refused.
        const code = await refused(leaf, tls);
        assert.ok([null, 'certificate_required', 'certificate_invalid'].includes(code), `${code}`);
      }
      assert.equal((await fleet.explain(leaf)).code, 'certificate_invalid');
    }
    await stillServed();
  });

  describe('huge', () => {
    const rdn = (value: string): Buffer => set(sequence(oid(commonName), utf8String(value)));

    test('in its names, whose comparison would take seconds, it is not read', async () => {
      const marks = '\u0315\u0300\u05ae'.repeat(8_000);
      for (const name of [sequence(rdn(marks)), sequence(...Array<Buffer>(3_000).fill(rdn('')))]) {
        for (const shape of [{ subject: name }, { issuer: name }]) {
          assert.equal(await refused(await crafted(shape)), 'certificate_invalid');
        }
      }
      await stillServed();
    });

    test('in its extensions, it is read as far as 64 KiB, which is more than anybody needs', async () => {
      const names = (count: number): Buffer => subjectAltName(...Array<Buffer>(count).fill(general.dns('a.example')));
      assert.equal(await fleet.arrive(await crafted({ subject: 'many-names', extensions: [names(4_000)] })), 'in');
      const tooMany = await crafted({ subject: 'too-many-names', extensions: [names(7_000)] });
      assert.equal(await refused(tooMany, '1.2'), 'certificate_invalid');
      // Where a ticket is given, OpenSSL ends the handshake: a session with this leaf in it would be longer than one may be.
      assert.equal(await refused(tooMany, '1.3'), null);
    });

    test('beyond what TLS takes, 100 KB, it ends the handshake', async () => {
      const names = subjectAltName(...Array<Buffer>(13_000).fill(general.dns('a.example')));
      const leaf = await crafted({ extensions: [names] });
      for (const tls of ['1.2', '1.3'] as const) assert.equal(await refused(leaf, tls), null);
      await stillServed();
    });
  });

  test('in a crowd of fifty, strangers or copies of itself, it is not looked for', async () => {
    const stranger = await pki.root('stranger');
    for (const other of [stranger.certificate, real.certificate, root.certificate]) {
      const crowd = await pki.chain(real, ...Array<string>(49).fill(other));
      for (const tls of ['1.2', '1.3'] as const) assert.equal(await refused(crowd, tls), 'certificate_invalid');
    }
    await stillServed();
  });

  test('beside the right ones it is a stranger: the device gets in without it', async () => {
    const junk = await crafted({ extensions: [extension('2.5.29.37', sequence())] });
    const issuing = await root.intermediate('issuing');
    const leaf = await issuing.device('among-junk');
    const chain = await pki.chain(leaf, junk.certificate, issuing.certificate, junk.certificate);
    for (const tls of ['1.2', '1.3'] as const)
      assert.equal((await fleet.connect(chain, { tls })).json.device_id, 'among-junk');
  });
});
