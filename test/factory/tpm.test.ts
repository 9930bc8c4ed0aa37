// The proof that a key lies in a TPM, asked of real ones (swtpm): what passes, and the sentence of each that does not.

import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { after, before, suite, test } from 'node:test';

import { challengeLifetime, Challenges, mostOfStation } from '../../src/factory/tpm/challenges.ts';
import { makeCredential } from '../../src/factory/tpm/credential.ts';
import { challenge, type Claim, type TpmChallenge, verify } from '../../src/factory/tpm/proof.ts';
import { readPublicArea } from '../../src/factory/tpm/public-area.ts';
import { Problem } from '../../src/problem.ts';
import { type Certificate, parseCertificate, parseCertificates } from '../../src/x509/certificate.ts';
import { encodeName } from '../../src/x509/name.ts';
import { parsePublicKey } from '../../src/x509/key.ts';
import {
  basicConstraints,
  extendedKeyUsage,
  extension,
  general,
  keyUsage,
  type Made,
  make,
  makeCa,
  newKey,
} from '../support/certificate-maker.ts';
import { needs } from '../support/require.ts';
import { type EndorsementKey, goodAttributes, type Tpm, tpmMaker, type TpmMaker } from '../support/swtpm.ts';
import { sequence } from '../../src/x509/der-write.ts';

const skip = needs('swtpm', 'tpm2-tools', 'openssl');

suite('a key in a TPM', { skip }, () => {
  let maker: TpmMaker;
  let tpm: Tpm;
  let challenges: Challenges;
  const instant = Date.now();

  before(async () => {
    maker = await tpmMaker();
    tpm = await maker.make();
    await tpm.makeKey('good');
  });
  after(() => maker[Symbol.asyncDispose]());

  /** What a device says whose key is NAME, with what a test has otherwise. */
  function claimOf(name: string, otherwise: Partial<Claim> = {}, at: Tpm = tpm): Claim {
    return {
      request: requestOf(at.read(`${name}.der`)),
      publicArea: at.read(`${name}.pub`),
      endorsement: otherwise.endorsement ?? shown('rsa2048', at),
      station: 'station-1',
      order: 'order-1',
      ...otherwise,
    };
  }

  const requestOf = (spki: Buffer, deviceId = 'device-1'): Claim['request'] => ({
    der: Buffer.from(`request of ${deviceId}`),
    publicKey: parsePublicKey(spki),
    deviceId,
  });

  const shown = (key: EndorsementKey, at: Tpm = tpm): Certificate[] => [
    parseCertificate(at.endorsementCertificate(key)),
    ...parseCertificates(maker.issuer()),
  ];

  function ask(claim: Claim, roots = parseCertificates(maker.root()), now = instant): TpmChallenge {
    return challenge(claim, { roots, challenges, now });
  }

  const take = (id: string, secret: Buffer, station = 'station-1', now = instant): ReturnType<typeof verify> =>
    verify({ id, secret, station }, { challenges, now });

  /** Whether it is refused with a sentence like this one. */
  function refused(what: () => unknown, sentence: RegExp, code: Problem['code'] = 'tpm_proof_refused'): void {
    assert.throws(what, (error) => {
      assert.ok(error instanceof Problem, String(error));
      assert.equal(error.code, code);
      assert.match(error.message, sentence);
      assert.ok(error.hint);
      return true;
    });
  }

  test('the secret comes back from the TPM, and proves the key', async () => {
    challenges = new Challenges(randomBytes);
    const { id, credential, endsAt } = ask(claimOf('good'));
    assert.equal(endsAt, instant + challengeLifetime);
    assert.deepEqual(credential.file.subarray(0, 8), Buffer.from('badcc0de00000001', 'hex'));
    assert.deepEqual(credential.file.subarray(8), Buffer.concat([credential.blob, credential.secret]));
    const secret = await tpm.activate(credential.file, 'good', 'rsa2048');
    const { evidence, ...rest } = take(id, secret);
    const ek = shown('rsa2048')[0]!;
    const { name } = readPublicArea(tpm.read('good.pub'));
    assert.deepEqual(evidence, {
      kind: 'tpm',
      ek_sha256: ek.publicKey.sha256,
      ek_certificate_tbs_sha256: ek.tbsSha256,
      name: name.toString('hex'),
    });
    assert.deepEqual(rest, {
      request: Buffer.from('request of device-1'),
      order: 'order-1',
      deviceId: 'device-1',
      publicKeySha256: parsePublicKey(tpm.read('good.der')).sha256,
    });
  });

  test('the TPM gives the same Name to the key', async () => {
    const told = await tpm.run('tpm2_readpublic -c good.ctx | sed -n "s/^name: //p"; tpm2_flushcontext -t');
    assert.equal(readPublicArea(tpm.read('good.pub')).name.toString('hex'), told.trim());
    await tpm.run('tpm2_readpublic -Q -c good.ctx -f tpmt -o good.tpmt; tpm2_flushcontext -t');
    assert.deepEqual(readPublicArea(tpm.read('good.tpmt')).name, readPublicArea(tpm.read('good.pub')).name);
  });

  for (const algorithm of ['ecc384', 'rsa'] as const) {
    test(`a key of the kind ${algorithm} under an endorsement key on P-384 passes too`, async () => {
      challenges = new Challenges(randomBytes);
      await tpm.makeKey(algorithm, {
        algorithm,
        attributes: 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign',
      });
      const { id, credential } = ask(claimOf(algorithm, { endorsement: shown('secp384r1') }));
      const secret = await tpm.activate(credential.file, algorithm, 'secp384r1');
      assert.equal(take(id, secret).evidence.kind, 'tpm');
    });
  }

  test('endorsement keys on P-256 and of RSA with 3,072 bits get credentials that they can read', async () => {
    await tpm.run('tpm2_createek -Q -G ecc -c p256.ctx -u p256.pub -f der; tpm2_flushcontext -t');
    const large = await maker.make(3072);
    await large.makeKey('good');
    const secret = randomBytes(32);
    const endorsementKey = parsePublicKey(tpm.read('p256.pub'));
    const credential = makeCredential(endorsementKey, readPublicArea(tpm.read('good.pub')).name, secret);
    assert.deepEqual(await tpm.activate(credential.file, 'good', 'p256.ctx'), secret);
    challenges = new Challenges(randomBytes);
    const made = ask(claimOf('good', { endorsement: shown('rsa3072', large) }, large));
    const answer = await large.activate(made.credential.file, 'good', 'rsa3072');
    assert.equal(take(made.id, answer).evidence.kind, 'tpm');
  });

  test('an imported key is refused, though its TPM would give the secret', async () => {
    await tpm.run(`
      openssl ecparam -name prime256v1 -genkey -noout -out imported.pem
      openssl pkey -in imported.pem -pubout -outform DER -out imported.der
      tpm2_import -Q -C primary.ctx -G ecc -i imported.pem -u imported.pub -r imported.priv
      tpm2_flushcontext -t
      tpm2_load -Q -C primary.ctx -u imported.pub -r imported.priv -c imported.ctx
      tpm2_flushcontext -t`);
    const area = readPublicArea(tpm.read('imported.pub'));
    assert.equal(area.objectAttributes, 0x00060040);
    const secret = randomBytes(32);
    const { file } = makeCredential(shown('rsa2048')[0]!.publicKey, area.name, secret);
    assert.deepEqual(await tpm.activate(file, 'imported', 'rsa2048'), secret);
    refused(() => ask(claimOf('imported')), /no fixedTPM/);
  });

  test('a public key that claims to live there gets no secret from the TPM', async () => {
    challenges = new Challenges(randomBytes);
    // The public area of a good key, with the point of a key outside.
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const spki = publicKey.export({ format: 'der', type: 'spki' });
    const pub = Buffer.from(tpm.read('good.pub'));
    spki.copy(pub, pub.length - 66, spki.length - 64, spki.length - 32);
    spki.copy(pub, pub.length - 32, spki.length - 32);
    tpm.write('claimed.pub', pub);
    await tpm.run('tpm2_loadexternal -Q -C n -u claimed.pub -c claimed.ctx; tpm2_flushcontext -t');
    const { credential } = ask(claimOf('good', { publicArea: pub, request: requestOf(spki) }));
    await assert.rejects(tpm.activate(credential.file, 'claimed', 'rsa2048'), /not available for selected entity/);
  });

  for (const [what, attributes, algorithm, sentence] of [
    ['can be taken to another TPM', 'sensitivedataorigin|userwithauth|sign', 'ecc', /no fixedTPM/],
    ['signs only what the TPM says', `${goodAttributes}|restricted`, 'ecc:ecdsa-sha256:null', /is restricted/],
    ['signs nothing', goodAttributes.replace('|sign', '|decrypt'), 'ecc', /no sign attribute/],
  ] as const) {
    test(`a key that ${what} is refused`, async () => {
      await tpm.makeKey('odd', { algorithm, attributes });
      refused(() => ask(claimOf('odd')), sentence);
    });
  }

  test('each attribute counts by itself', () => {
    refused(() => ask(claimOf('good', { publicArea: withAttributes('good', 0x00040470) })), /no fixedTPM/);
    refused(() => ask(claimOf('good', { publicArea: withAttributes('good', 0x00040462) })), /no fixedParent/);
    refused(() => ask(claimOf('good', { publicArea: withAttributes('good', 0x00040452) })), /no sensitiveDataOrigin/);
  });

  function withAttributes(name: string, attributes: number): Buffer {
    const area = Buffer.from(tpm.read(`${name}.pub`));
    area.writeUInt32BE(attributes, 6);
    return area;
  }

  test('a public area that was edited has another Name, and the TPM gives nothing for it', async () => {
    challenges = new Challenges(randomBytes);
    await tpm.makeKey('bare', { attributes: 'sensitivedataorigin|userwithauth|sign' });
    const { credential } = ask(claimOf('bare', { publicArea: withAttributes('bare', 0x00040472) }));
    await assert.rejects(tpm.activate(credential.file, 'bare', 'rsa2048'));
  });

  test('the key of another request is refused', () => {
    refused(() => ask(claimOf('good', { request: requestOf(newKey().spki) })), /of another key than the request/);
  });

  test('an endorsement certificate counts under a pinned root alone, and with its issuer', async () => {
    await using other = await tpmMaker();
    await other.make();
    refused(() => ask(claimOf('good'), parseCertificates(other.root())), /does not lead to a root of a TPM maker/);
    refused(() => ask(claimOf('good'), []), /No root of a TPM maker is known here/);
    refused(() => ask(claimOf('good', { endorsement: shown('rsa2048').slice(0, 1) })), /neither sent nor is it known/);
    refused(() => ask(claimOf('good', { endorsement: [] })), /There is no endorsement certificate/);
    const many = Array.from({ length: 11 }, () => shown('rsa2048')[0]!);
    refused(() => ask(claimOf('good', { endorsement: many })), /More than 10 certificates/);
    challenges = new Challenges(randomBytes);
    assert.ok(ask(claimOf('good', { endorsement: shown('rsa2048').slice(0, 1) }), parseCertificates(maker.issuer())));
  });

  test('the endorsement certificate of another TPM gives a credential that this one cannot read', async () => {
    challenges = new Challenges(randomBytes);
    const other = await maker.make();
    const { credential } = ask(claimOf('good', { endorsement: shown('rsa2048', other) }));
    await assert.rejects(tpm.activate(credential.file, 'good', 'rsa2048'), /activatecredential/);
  });

  suite('an endorsement certificate that is none', () => {
    const root = makeCa('TPM maker', { notBefore: instant - 86_400_000, notAfter: instant + 86_400_000 });
    const named = sequence(general.directory(encodeName([{ type: '2.23.133.2.1', value: 'id:00001014' }])));
    const san = extension('2.5.29.17', named, true);
    const purpose = extendedKeyUsage(false, '2.23.133.8.1');
    const agreement = keyUsage('keyAgreement');
    const certificateOf = (extensions: Buffer[], key = newKey()): Made =>
      make({
        by: root,
        subject: Buffer.of(0x30, 0),
        key,
        extensions,
        notBefore: instant - 1_000,
        notAfter: instant + 86_400_000,
      });
    const show = (made: Made): Claim => claimOf('good', { endorsement: [made.certificate] });
    const roots = [root.certificate];

    test('one like the makers make passes', () => {
      challenges = new Challenges(randomBytes);
      assert.ok(ask(show(certificateOf([san, purpose, agreement, basicConstraints(false)])), roots));
      assert.ok(ask(show(certificateOf([san, purpose, keyUsage('keyEncipherment')], newKey('rsa2048'))), roots));
    });

    for (const [what, extensions, key, sentence] of [
      ['of another purpose', [san, agreement], 'P-256', /extendedKeyUsage does not contain 2\.23\.133\.8\.1/],
      ['for TLS servers', [san, agreement, extendedKeyUsage(false, '1.3.6.1.5.5.7.3.1')], 'P-256', /extendedKeyUsage/],
      ['of a CA', [san, purpose, agreement, basicConstraints(true)], 'P-256', /is that of a CA/],
      ['without subjectAltName', [purpose, agreement], 'P-256', /no critical subjectAltName/],
      [
        'whose subjectAltName is not critical',
        [extension('2.5.29.17', named), purpose, agreement],
        'P-256',
        /critical/,
      ],
      [
        'that names a host',
        [extension('2.5.29.17', sequence(general.dns('tpm.example')), true), purpose, agreement],
        'P-256',
        /a directoryName and nothing else/,
      ],
      ['for signing, on a curve', [san, purpose, keyUsage('digitalSignature')], 'P-256', /keyAgreement/],
      ['for signing, of RSA', [san, purpose, keyUsage('digitalSignature')], 'rsa2048', /keyEncipherment/],
      ['without keyUsage', [san, purpose], 'P-256', /keyAgreement/],
      ['of a key on P-521', [san, purpose, agreement], 'P-521', /none of RSA with 2,048 or 3,072 bits/],
      [
        'with a critical extension that nobody knows',
        [san, purpose, agreement, extension('1.2.3', named, true)],
        'P-256',
        /1\.2\.3/,
      ],
    ] as const) {
      test(`${what} is refused`, () => {
        refused(() => ask(show(certificateOf([...extensions], newKey(key))), roots), sentence);
      });
    }

    test('one that has expired is refused', () => {
      const made = certificateOf([san, purpose, agreement]);
      refused(() => ask(show(made), roots, instant + 2 * 86_400_000), /expired/);
    });
  });

  suite('a challenge', () => {
    before(() => {
      challenges = new Challenges(randomBytes);
    });
    /** One, and the secret that only its TPM should know. */
    const made = (at = instant) => {
      const subject = { ...subjectOf(), station: 'station-1' };
      const { id, secret } = challenges.make(subject, at);
      return { id, secret: Buffer.from(secret.reveal()) };
    };
    const subjectOf = () => ({
      order: 'order-1',
      deviceId: 'device-1',
      publicKeySha256: 'p',
      ekSha256: 'e',
      ekCertificateTbsSha256: 'c',
      name: 'n',
      request: Buffer.alloc(0),
    });

    test('is taken once', () => {
      const { id, secret } = made();
      assert.equal(take(id, secret).deviceId, 'device-1');
      refused(() => take(id, secret), /answered before/);
    });

    test('wants its own secret, and no second guess', () => {
      for (const wrong of [Buffer.alloc(32), Buffer.alloc(0), randomBytes(33), made().secret]) {
        const { id, secret } = made();
        refused(() => take(id, wrong), /not the secret/);
        refused(() => take(id, secret), /answered before/);
      }
    });

    test('ends', () => {
      const { id, secret } = made();
      assert.equal(take(made().id && id, secret, 'station-1', instant + challengeLifetime - 1).order, 'order-1');
      const late = made();
      refused(() => take(late.id, late.secret, 'station-1', instant + challengeLifetime), /ended at/);
    });

    test('is of one station', () => {
      const { id, secret } = made();
      refused(() => take(id, secret, 'station-2'), /that of another station/);
      assert.equal(take(id, secret).deviceId, 'device-1');
    });

    test('is forgotten with the process', () => {
      const { id, secret } = made();
      challenges = new Challenges(randomBytes);
      refused(() => take(id, secret), /no such challenge/);
    });

    test('makes room for the newer ones of its own station, and of no other', () => {
      const [oldest, next] = [made(), made()];
      const other = challenges.make({ ...subjectOf(), station: 'station-2' }, instant);
      for (let n = 0; n < mostOfStation - 1; n += 1) made();
      refused(() => take(oldest.id, oldest.secret), /no such challenge/);
      assert.ok(take(next.id, next.secret));
      assert.ok(take(other.id, Buffer.from(other.secret.reveal()), 'station-2'));
    });

    test('leaves nothing behind when it ended long ago', () => {
      const { id, secret } = made();
      made(instant + 2 * challengeLifetime);
      refused(() => take(id, secret, 'station-1', instant + 2 * challengeLifetime), /no such challenge/);
    });
  });
});
