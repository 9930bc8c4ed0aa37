// Registering a Fleet Root CA: which files are taken, and what is said of those that are not.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { parseCertificates } from '../../src/x509/certificate.ts';
import { Fleet } from '../support/fleet.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { type Ca, caExtensions, Pki } from '../support/pki.ts';

const day = 24 * 60 * 60 * 1000;

describe('registering a Fleet Root CA', () => {
  let fleetroot: Fleetroot;
  let pki: Pki;
  let fleet: Fleet;

  before(async () => {
    [fleetroot, pki] = await Promise.all([Fleetroot.start(), Pki.open()]);
    fleet = await Fleet.open(fleetroot, 'fleet');
  });
  after(() => Promise.all([fleetroot[Symbol.asyncDispose](), pki[Symbol.asyncDispose]()]));

  /** Registers a file that must be refused as unfit, and gives what is said. */
  const refuse = async (file: string): Promise<string> => {
    const { stderr } = await fleet.registerRefused(file);
    assert.match(stderr, /^error: .+\n(hint: .+\n)?$/);
    return stderr;
  };

  describe('is refused, with the reason, for', () => {
    const ca = [...caExtensions];
    const unfit: Record<string, { make: () => Promise<{ certificate: string }>; says: RegExp }> = {
      'a certificate that is of no CA': {
        make: () => pki.root('x', { extensions: ['basicConstraints=critical,CA:FALSE'] }),
        says: /is no CA certificate/,
      },
      "a device's certificate": {
        make: async () => (await pki.root('x')).device('device'),
        says: /is no CA certificate.+\nhint: .*not that of a device/,
      },
      'a self-signed certificate without extensions (X.509 version 1)': {
        make: () => pki.root('x', { extensions: [] }),
        says: /is no CA certificate/,
      },
      'a keyUsage without keyCertSign': {
        make: () => pki.root('x', { extensions: ['basicConstraints=CA:TRUE', 'keyUsage=digitalSignature,cRLSign'] }),
        says: /keyUsage without keyCertSign/,
      },
      'an RSA key of 1,024 bits': {
        make: () => pki.root('x', { keyType: 'rsa1024' }),
        says: /RSA key of 1024 bits, and 2,048 are the least/,
      },
      'a signature by SHA-1': {
        make: () => pki.root('x', { digest: 'sha1' }),
        says: /signed by ECDSA with SHA-1, which is not accepted/,
      },
      'a signature by RSA and MD5': {
        make: () => pki.root('x', { keyType: 'rsa2048', digest: 'md5' }),
        says: /signed by RSA with MD5, which is not accepted/,
      },
      'one that has expired': {
        make: () => pki.root('x', { validity: { from: Date.UTC(2015, 0), to: Date.UTC(2025, 0) } }),
        says: /expired at 2025-01-01T00:00:00.000Z; it is \d{4}-\d\d-\d\dT/,
      },
      'a critical extension that nobody understands': {
        make: () => pki.root('x', { extensions: [...ca, '1.2.3.4.5=critical,ASN1:NULL'] }),
        says: /critical extension that is not understood: 1\.2\.3\.4\.5/,
      },
      'a curve that is not accepted': {
        make: async () => {
          const key = pki.file('.key');
          await pki.openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:secp256k1', '-out', key);
          return pki.root('x', { key });
        },
        says: /public key that is not accepted.+\nhint: .*P-256/,
      },
    };
    for (const [what, { make, says }] of Object.entries(unfit)) {
      test(what, async () => assert.match(await refuse((await make()).certificate), says));
    }

    test('a private key in the file, in whatever form, and nothing of it is kept', async () => {
      const root = await pki.guideRoot('leaky');
      const [key, p12, encrypted, rsa] = [root.key, pki.file('.p12'), pki.file('.key'), await pki.newKey('rsa2048')];
      await pki.openssl('pkcs12', '-export', '-in', root.certificate, '-inkey', key, '-passout', 'pass:', '-out', p12);
      await pki.openssl('pkcs8', '-topk8', '-in', key, '-passout', 'pass:secret', '-out', encrypted);
      const [der, traditional] = [pki.file('.der'), pki.file('.key')];
      await pki.openssl('pkey', '-in', key, '-outform', 'DER', '-out', der);
      await pki.openssl('rsa', '-traditional', '-in', rsa, '-out', traditional);
      for (const file of [
        await pki.bundle(root.certificate, key),
        await pki.bundle(key, root.certificate),
        await pki.bundle(root.certificate, encrypted),
        await pki.bundle(root.certificate, traditional),
        key,
        der,
        p12,
      ]) {
        const said = await refuse(file);
        assert.match(said, /private key/);
        assert.match(said, /hint: .*the private key of a Fleet Root CA never comes to this server/);
      }
      assert.ok(!(await fleet.fleetRoot('list')).some((each: { name: string }) => each.name === 'leaky'));
    });

    test('a file without a certificate, or with half of one', async () => {
      const root = await pki.guideRoot('damaged');
      const pem = await readFile(root.certificate, 'utf8');
      const { der } = parseCertificates(Buffer.from(pem))[0]!;
      const damaged: [string | Buffer, RegExp][] = [
        ['', /no file|empty|no certificate/i],
        ['hello\n', /no certificate/],
        [pem.replace(/-----END[^]+/, ''), /not base64 between BEGIN and END/],
        [pem.replace(/\n.{20}/, '\n'), /malformed|not base64/],
        [pem.replace('MII', 'M!I'), /not base64/],
        [der.subarray(0, -1), /neither PEM nor whole DER/],
        [Buffer.concat([der, Buffer.of(0)]), /neither PEM nor whole DER/],
        [Buffer.alloc(2 * 1024 * 1024, 'x'), /too large|larger/],
      ];
      for (const [content, says] of damaged) assert.match(await refuse(await pki.write(content)), says);
      const request = pki.file('.csr');
      await pki.openssl('req', '-new', '-key', root.key, '-subj', '/CN=request', '-out', request);
      assert.match(await refuse(request), /no certificate in the file, only CERTIFICATE REQUEST/);
      const forged = parseCertificates(await readFile((await pki.plainRoot('forged')).certificate))[0]!.der;
      forged[forged.length - 1]! ^= 1;
      assert.match(await refuse(await pki.write(forged, '.der')), /signed by itself, and the signature is wrong/);
    });

    test('one that is there already, whatever it is called', async () => {
      const root = await pki.guideRoot('twice');
      await fleet.register(root);
      const { stderr } = await fleet.registerRefused(root.certificate, '--name', 'another');
      assert.match(stderr, /error: The account has this certificate already, as "twice"\.\nhint: /);
    });

    test('a name that is taken, or that could be an ID or a SHA-256', async () => {
      await fleet.register(await pki.guideRoot('first-of-name'), '--name', 'Plant 1');
      const root = await pki.guideRoot('second-of-name');
      assert.match((await fleet.registerRefused(root.certificate, '--name', 'Plant 1')).stderr, /"Plant 1" already/);
      for (const name of [crypto.randomUUID(), 'ab'.repeat(32), 'a\u202eb', ' x', 'x'.repeat(65)]) {
        assert.match(
          (await fleet.registerRefused(root.certificate, '--name', name)).stderr,
          /1 to 64 visible characters/,
        );
      }
      assert.equal((await fleet.register(root)).name, 'second-of-name');
    });

    test('intermediates that are of another CA, and a leaf among them', async () => {
      const [root, other] = [await pki.root('right'), await pki.root('wrong')];
      const strange = await other.intermediate('strange');
      assert.match(
        await refuse(await pki.bundle(root.certificate, strange.certificate)),
        /CN=strange was not issued under this Fleet Root CA.\nhint: .*the Fleet Root CA comes first/,
      );
      const device = await root.device('device');
      assert.match(await refuse(await pki.bundle(root.certificate, device.certificate)), /Certificate 2 of 2.+no CA/);
      const intermediate = await root.intermediate('mid');
      assert.match(await refuse(await pki.bundle(intermediate.certificate, root.certificate)), /not issued under/);
    });
  });

  describe('takes the certificate from a file as people have it:', () => {
    let root: Ca;
    let pem: string;
    let der: Buffer;
    before(async () => {
      root = await pki.guideRoot('forms');
      pem = await readFile(root.certificate, 'utf8');
      der = parseCertificates(Buffer.from(pem))[0]!.der;
    });

    const forms: Record<string, () => Promise<string | Uint8Array>> = {
      DER: async () => der,
      PEM: async () => pem,
      'CRLF at the ends of lines': async () => pem.replaceAll('\n', '\r\n'),
      'a byte order mark': async () => `\ufeff${pem}`,
      'UTF-16, as a Windows shell writes it': async () => Buffer.from(`\ufeff${pem}`, 'utf16le'),
      'no newline at the end, blank lines before': async () => `\n\n \n${pem.trimEnd()}`,
      'blanks at the ends of lines, and lines of any length': async () =>
        pem.replace(/\n(.{64})\n/, (_, line: string) => `  \n  ${line.slice(0, 7)}\t\n\n${line.slice(7)} \n`),
      'all base64 on one line': async () =>
        `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`,
      'the text of `openssl x509 -text` before it': () => pki.openssl('x509', '-in', root.certificate, '-text'),
      'what `openssl s_client` prints around it': async () => `depth=0 CN=forms\n---\n 0 s:CN=forms\n${pem}---\nDONE\n`,
      'the old label X509 CERTIFICATE': async () => pem.replaceAll(' CERTIFICATE-', ' X509 CERTIFICATE-'),
    };
    for (const [form, make] of Object.entries(forms)) {
      test(form, async () => {
        const account = await Fleet.open(fleetroot, `form-${Object.keys(forms).indexOf(form)}`);
        const registered = await account.register({ certificate: await pki.write(await make()) });
        assert.equal(registered.sha256, parseCertificates(der)[0]!.sha256);
        assert.equal(registered.name, 'forms');
      });
    }
  });

  test('of several certificates the first is the anchor, the others its intermediates, and that is said', async () => {
    const account = await Fleet.open(fleetroot, 'several');
    const root = await pki.root('top');
    const upper = await root.intermediate('upper');
    const deeper = await upper.intermediate('deeper');
    const file = await pki.bundle(root.certificate, deeper.certificate, upper.certificate);
    const { code, stdout } = await fleetroot.command('fleet-root', 'register', 'several', file);
    assert.equal(code, 0);
    assert.match(stdout, /The Fleet Root CA top .+ is registered/);
    assert.match(stdout, /The first certificate of the file is the trust anchor, the other 2 its intermediates\./);
    const shown = await account.fleetRoot('show', 'top');
    const roles = shown.certificates.map(
      ({ role, subject }: { role: string; subject: string }) => `${role} ${subject}`,
    );
    assert.deepEqual(roles.sort(), ['anchor CN=top', 'intermediate CN=deeper', 'intermediate CN=upper']);
    assert.equal(await account.arrive(await deeper.device('deep-leaf-alone')), 'in');
  });

  test('the private keys of nobody are asked for: a keyUsage that is not there is fine', async () => {
    const registered = await fleet.register(await pki.plainRoot('plain'));
    assert.equal(registered.added, 'new');
  });

  test('a CA is named by its ID, its name or its SHA-256, with colons as openssl prints it or without', async () => {
    const root = await pki.guideRoot('named');
    const { id, sha256 } = await fleet.register(root);
    const printed = (await pki.openssl('x509', '-in', root.certificate, '-noout', '-fingerprint', '-sha256')).trim();
    const colons = printed.split('=')[1]!;
    for (const ref of [id, 'named', sha256, colons]) assert.equal((await fleet.fleetRoot('show', ref)).id, id);
    assert.match(
      (await fleetroot.command('fleet-root', 'show', 'fleet', 'nobody')).stderr,
      /no Fleet Root CA "nobody"/,
    );
  });

  test('two CAs with one common name get names that differ', async () => {
    const account = await Fleet.open(fleetroot, 'namesakes');
    const names = [];
    for (let n = 0; n < 3; n += 1) names.push((await account.register(await pki.guideRoot('namesake'))).name);
    assert.deepEqual(names, ['namesake', 'namesake 2', 'namesake 3']);
  });

  test('one that is valid only from tomorrow is taken today, and lets its devices in tomorrow', async () => {
    const account = await Fleet.open(fleetroot, 'tomorrow');
    const root = await pki.root('tomorrow', { validity: { from: Date.now() + day, to: Date.now() + 100 * day } });
    await account.register(root);
    assert.equal(await account.arrive(await root.device('early')), 'certificate_not_yet_valid');
  });
});
