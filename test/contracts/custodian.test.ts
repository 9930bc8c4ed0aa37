// What every custodian promises, whatever it keeps its keys in.

import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, randomUUID, verify } from 'node:crypto';
import { describe, test } from 'node:test';

import { type CustodyKey, type Custodian, fits } from '../../src/custody/custodian.ts';
import type { CustodyFault, KeyType, SigningAlgorithm } from '../../src/custody/custodian.ts';
import { Secret } from '../../src/secret.ts';
import { parsePublicKey } from '../../src/x509/key.ts';
import { custodyBackends } from '../support/custodians.ts';

const keyTypes: Record<KeyType, { kind: string; bits: number }> = {
  p256: { kind: 'p256', bits: 256 },
  p384: { kind: 'p384', bits: 384 },
  rsa2048: { kind: 'rsa', bits: 2048 },
  rsa3072: { kind: 'rsa', bits: 3072 },
  rsa4096: { kind: 'rsa', bits: 4096 },
};
const algorithms: readonly SigningAlgorithm[] = ['ecdsa-sha256', 'ecdsa-sha384', 'rsa-sha256', 'rsa-sha384'];

async function newKey(custodian: Custodian, keyType: KeyType = 'p256', exportable = false): Promise<CustodyKey> {
  const request = { id: randomUUID(), keyType, exportable };
  return { ...request, ...(await custodian.create(request)) };
}

/** A private key that was made elsewhere, PKCS#8 in DER. */
function foreignKey(keyType: KeyType): Secret {
  const { privateKey } = keyType.startsWith('rsa')
    ? generateKeyPairSync('rsa', { modulusLength: Number(keyType.slice(3)) })
    : generateKeyPairSync('ec', { namedCurve: keyType === 'p256' ? 'P-256' : 'P-384' });
  return new Secret(privateKey.export({ type: 'pkcs8', format: 'der' }));
}

function publicHalf(privateKey: Secret): Buffer {
  const key = createPrivateKey({ key: privateKey.reveal(), format: 'der', type: 'pkcs8' });
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}

const someAlgorithm = (keyType: KeyType) => (keyType.startsWith('rsa') ? 'rsa-sha256' : 'ecdsa-sha384');

/** Whether the signature is that of the key, as a reader of certificates sees it. */
function isBy({ publicKey }: CustodyKey, algorithm: SigningAlgorithm, data: Uint8Array, signature: Buffer): boolean {
  const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
  return verify(algorithm.split('-')[1], data, key, signature);
}

const refused = { name: 'Problem', code: 'custody_unavailable' };
const faulty = (fault: CustodyFault) => ({ name: 'Problem', fault });

for (const { name, skip, home, givesOut } of custodyBackends) {
  describe(`the custodian ${name}`, { skip }, () => {
    for (const [keyType, { kind, bits }] of Object.entries(keyTypes) as [KeyType, { kind: string; bits: number }][]) {
      test(`makes a ${keyType} key and signs with it by every algorithm that fits`, async () => {
        await using held = await home();
        const custodian = await held.open();
        const key = await newKey(custodian, keyType);
        const publicKey = parsePublicKey(key.publicKey);
        assert.deepEqual({ kind: publicKey.kind, bits: publicKey.bits }, { kind, bits });
        for (const algorithm of algorithms.filter((one) => fits(keyType, one))) {
          const data = randomBytes(300);
          const signature = await custodian.sign(key, algorithm, data);
          assert.ok(isBy(key, algorithm, data, signature), algorithm);
        }
      });
    }

    test('gives its public keys in the one form by whose hash a key is known', async () => {
      await using held = await home();
      const custodian = await held.open();
      for (const keyType of ['p256', 'rsa2048'] as const) {
        const { publicKey } = await newKey(custodian, keyType);
        const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
        assert.deepEqual(key.export({ type: 'spki', format: 'der' }), Buffer.from(publicKey));
      }
    });

    test('makes no signature by an algorithm of another kind of key', async () => {
      await using held = await home();
      const custodian = await held.open();
      await assert.rejects(custodian.sign(await newKey(custodian), 'rsa-sha256', randomBytes(32)), TypeError);
      await assert.rejects(
        custodian.sign(await newKey(custodian, 'rsa2048'), 'ecdsa-sha256', randomBytes(32)),
        TypeError,
      );
    });

    test('is called the same after a restart, and signs with the keys of before', async () => {
      await using held = await home();
      const before = await held.open();
      const key = await newKey(before);
      const after = await held.open();
      assert.equal(after.name, before.name);
      const data = randomBytes(300);
      assert.ok(isBy(key, 'ecdsa-sha256', data, await after.sign(key, 'ecdsa-sha256', data)));
    });

    test('gives each of many that sign at once the signature of its own key over its own data', async () => {
      await using held = await home();
      const custodian = await held.open();
      const keys = await Promise.all([newKey(custodian), newKey(custodian), newKey(custodian, 'rsa2048')]);
      const jobs = Array.from({ length: 150 }, (_, index) => ({
        key: keys[index % keys.length]!,
        data: randomBytes(40),
      }));
      const algorithmOf = ({ keyType }: CustodyKey) => (keyType === 'p256' ? 'ecdsa-sha256' : 'rsa-sha256');
      const signatures = await Promise.all(jobs.map(({ key, data }) => custodian.sign(key, algorithmOf(key), data)));
      for (const [index, { key, data }] of jobs.entries()) {
        assert.ok(isBy(key, algorithmOf(key), data, signatures[index]!), `signature ${index}`);
      }
    });

    test('makes keys, each a good one, while others are looked up and sign', async () => {
      await using held = await home();
      const custodian = await held.open();
      const key = await newKey(custodian);
      const data = randomBytes(40);
      const made = Promise.all(Array.from({ length: 12 }, () => newKey(custodian)));
      const state = { making: true };
      const finished = made.finally(() => (state.making = false));
      const user = async (): Promise<void> => {
        while (state.making) {
          assert.deepEqual(Buffer.from(await custodian.publicKey(key)), Buffer.from(key.publicKey));
          assert.ok(isBy(key, 'ecdsa-sha256', data, await custodian.sign(key, 'ecdsa-sha256', data)));
        }
      };
      await Promise.all([finished, user(), user(), user(), user()]);
      for (const one of await made) {
        assert.ok(isBy(one, 'ecdsa-sha256', data, await custodian.sign(one, 'ecdsa-sha256', data)));
      }
    });

    test('signs nothing with a record that is damaged or mixed up from two, while others go on', async () => {
      await using held = await home();
      const custodian = await held.open();
      const [key, other] = [await newKey(custodian), await newKey(custodian)];
      const damaged = Buffer.from(key.remembered);
      damaged[damaged.length >> 1]! ^= 1;
      const data = randomBytes(40);
      const good = custodian.sign(other, 'ecdsa-sha256', data);
      const bad = [
        { ...key, remembered: damaged },
        { ...key, remembered: other.remembered },
        { ...key, id: randomUUID() },
      ].map((record) => custodian.sign(record, 'ecdsa-sha256', data));
      await Promise.all(bad.map((signature) => assert.rejects(signature, refused)));
      assert.ok(isBy(other, 'ecdsa-sha256', data, await good));
    });

    for (const keyType of Object.keys(keyTypes) as KeyType[]) {
      test(`takes in a ${keyType} key that was made elsewhere, and signs with it from then on`, async () => {
        await using held = await home();
        const request = { id: randomUUID(), keyType, exportable: false };
        using privateKey = foreignKey(keyType);
        const key = { ...request, ...(await (await held.open()).import(request, privateKey)) };
        assert.deepEqual(Buffer.from(key.publicKey), publicHalf(privateKey));
        const data = randomBytes(300);
        const signature = await (await held.open()).sign(key, someAlgorithm(keyType), data);
        assert.ok(isBy(key, someAlgorithm(keyType), data, signature));
      });
    }

    test('takes in a key again that an interrupted move has left there', async () => {
      await using held = await home();
      const request = { id: randomUUID(), keyType: 'p256', exportable: false } as const;
      using privateKey = foreignKey('p256');
      await (await held.open()).import(request, privateKey);
      const custodian = await held.open();
      const key = { ...request, ...(await custodian.import(request, privateKey)) };
      const data = randomBytes(40);
      assert.ok(isBy(key, 'ecdsa-sha256', data, await custodian.sign(key, 'ecdsa-sha256', data)));
      await custodian.destroy(key);
      if (name !== 'software') await assert.rejects(custodian.publicKey(key), faulty('no_such_key'));
    });

    if (givesOut) {
      test('takes in such a key again though it was to be given out then, and not now, or the other way round', async () => {
        await using held = await home();
        const custodian = await held.open();
        for (const exportable of [true, false]) {
          const request = { id: randomUUID(), keyType: 'p256', exportable } as const;
          using privateKey = foreignKey('p256');
          await custodian.import({ ...request, exportable: !exportable }, privateKey);
          const key = { ...request, ...(await custodian.import(request, privateKey)) };
          const data = randomBytes(40);
          assert.ok(isBy(key, 'ecdsa-sha256', data, await custodian.sign(key, 'ecdsa-sha256', data)));
          if (exportable) {
            using given = await custodian.export(key);
            assert.deepEqual(publicHalf(given), publicHalf(privateKey));
          } else {
            await assert.rejects(custodian.export(key), faulty('not_exportable'));
            await assert.rejects(
              custodian.export({ ...key, exportable: true }),
              ({ fault }: { fault?: CustodyFault }) => fault === 'not_exportable' || fault === 'corrupted',
            );
          }
        }
      });
    }

    test('takes in nothing that is no key of the type named', async () => {
      await using held = await home();
      const custodian = await held.open();
      using p384 = foreignKey('p384');
      using nonsense = new Secret(randomBytes(138));
      for (const privateKey of [p384, nonsense]) {
        const request = { id: randomUUID(), keyType: 'p256', exportable: false } as const;
        await assert.rejects(custodian.import(request, privateKey), TypeError);
      }
    });

    test('tells the public key of the key that is really there', async () => {
      await using held = await home();
      const custodian = await held.open();
      for (const keyType of ['p384', 'rsa2048'] as const) {
        const { publicKey, ...key } = await newKey(custodian, keyType);
        const told = await custodian.publicKey({ ...key, publicKey: randomBytes(publicKey.length) });
        assert.deepEqual(told, Buffer.from(publicKey));
      }
    });

    if (givesOut) {
      test('gives out a key that was made for that, and it is the one', async () => {
        await using held = await home();
        const custodian = await held.open();
        for (const keyType of ['p256', 'p384', 'rsa2048'] as const) {
          const key = await newKey(custodian, keyType, true);
          using privateKey = await custodian.export(key);
          assert.deepEqual(publicHalf(privateKey), Buffer.from(key.publicKey));
        }
        const request = { id: randomUUID(), keyType: 'p256', exportable: true } as const;
        using privateKey = foreignKey('p256');
        const taken = { ...request, ...(await custodian.import(request, privateKey)) };
        using given = await custodian.export(taken);
        assert.deepEqual(publicHalf(given), publicHalf(privateKey));
      });
    } else {
      test('makes no key to be given out', async () => {
        await using held = await home();
        const custodian = await held.open();
        await assert.rejects(newKey(custodian, 'p256', true), faulty('not_exportable'));
        using privateKey = foreignKey('p256');
        const request = { id: randomUUID(), keyType: 'p256', exportable: true } as const;
        await assert.rejects(custodian.import(request, privateKey), faulty('not_exportable'));
      });
    }

    test('never gives out a key that was not made for that, though its record be changed to say so', async () => {
      await using held = await home();
      const custodian = await held.open();
      const made = await newKey(custodian);
      using privateKey = foreignKey('p256');
      const request = { id: randomUUID(), keyType: 'p256', exportable: false } as const;
      const taken = { ...request, ...(await custodian.import(request, privateKey)) };
      for (const key of [made, taken]) {
        await assert.rejects(custodian.export(key), { ...faulty('not_exportable'), code: 'key_not_exportable' });
        await assert.rejects(
          custodian.export({ ...key, exportable: true }),
          ({ fault }: { fault?: CustodyFault }) => fault === 'not_exportable' || fault === 'corrupted',
        );
      }
    });

    test('says that it is well', async () => {
      await using held = await home();
      await (await held.open()).check();
    });

    test('destroys a key, again too, and then nothing signs with it', async () => {
      await using held = await home();
      const custodian = await held.open();
      const key = await newKey(custodian);
      await custodian.destroy(key);
      await custodian.destroy(key);
      const forgotten = { ...key, remembered: Buffer.alloc(0) };
      await assert.rejects(custodian.sign(forgotten, 'ecdsa-sha256', randomBytes(32)), refused);
      if (name !== 'software') {
        // What the software custodian remembers is the key itself; any other one does not have it any more.
        await assert.rejects(custodian.sign(key, 'ecdsa-sha256', randomBytes(32)), faulty('no_such_key'));
        await assert.rejects(custodian.publicKey(key), faulty('no_such_key'));
      }
    });
  });
}
