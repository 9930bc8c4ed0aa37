// Buffers that held a private key of a device are overwritten, whatever became of the device.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { ServerResponse } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { KeyPool } from '../../src/provisioning/key-pool.ts';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { call, type Image } from '../support/image.ts';
import { needs } from '../support/require.ts';

/** A buffer that a private key has been in, with what was in it then. */
interface Watched {
  readonly what: string;
  readonly buffer: Uint8Array;
  readonly held: Buffer;
}

const watched: Watched[] = [];

/** What a PKCS#12 begins with, and no other answer. */
const derSequence = 0x30;
/** RSA keys that a pool makes ahead, besides the one that was asked for. */
const madeAhead = 8;

function watch<Bytes extends Uint8Array>(what: string, buffer: Bytes): Bytes {
  if (buffer.length > 0) watched.push({ what, buffer, held: Buffer.from(buffer) });
  return buffer;
}

const ecdh = Object.getPrototypeOf(crypto.createECDH('prime256v1')) as crypto.ECDH;
const originals = {
  getPrivateKey: ecdh.getPrivateKey,
  createCipheriv: crypto.createCipheriv,
  generateKeyPair: crypto.generateKeyPair,
  take: KeyPool.prototype.take,
  end: ServerResponse.prototype.end,
};

/** Notes each buffer in which a key is made, encrypted under the password that everybody knows, and sent. */
function watchAll(): void {
  ecdh.getPrivateKey = function (this: crypto.ECDH) {
    return watch('the scalar', (originals.getPrivateKey as () => Buffer).call(this));
  } as never;
  crypto.createCipheriv = ((...args: Parameters<typeof crypto.createCipheriv>) => {
    const cipher = originals.createCipheriv(...args);
    if (args[0] !== 'aes-256-cbc') return cipher;
    const update = cipher.update.bind(cipher) as (plain: Buffer) => Buffer;
    const final = cipher.final.bind(cipher) as () => Buffer;
    cipher.update = ((plain: Buffer) => watch('the ciphertext', update(plain))) as never;
    cipher.final = (() => watch('the end of the ciphertext', final())) as never;
    return cipher;
  }) as never;
  const generate = (...given: unknown[]) => {
    const done = given.pop() as (error: unknown, publicKey: Buffer, privateKey: Buffer) => void;
    const watching: typeof done = (error, publicKey, privateKey) =>
      done(error, publicKey, watch('the RSA key', privateKey));
    return (originals.generateKeyPair as (...all: unknown[]) => void)(...given, watching);
  };
  // With what tells promisify that it gives two keys.
  const own = Object.getOwnPropertyDescriptors(originals.generateKeyPair);
  crypto.generateKeyPair = Object.defineProperties(generate, own) as never;
  KeyPool.prototype.take = async function (keyType) {
    const pair = await originals.take.call(this, keyType);
    watch('the key', pair.privateKey.reveal());
    return pair;
  };
  ServerResponse.prototype.end = function (this: ServerResponse, ...args: unknown[]) {
    const [body] = args;
    if (Buffer.isBuffer(body) && body[0] === derSequence) watch('the file', body);
    return originals.end.apply(this, args as never);
  } as never;
  syncBuiltinESMExports();
}

function unwatchAll(): void {
  ecdh.getPrivateKey = originals.getPrivateKey;
  crypto.createCipheriv = originals.createCipheriv;
  crypto.generateKeyPair = originals.generateKeyPair;
  KeyPool.prototype.take = originals.take;
  ServerResponse.prototype.end = originals.end;
  syncBuiltinESMExports();
}

const left = () => watched.filter(({ buffer }) => buffer.some((octet) => octet !== 0)).map(({ what }) => what);

/** What was watched since the last time, all of it overwritten by now or soon. */
async function wiped(): Promise<string[]> {
  await eventually(() => left().length === 0).catch(() => assert.deepEqual(left(), [], 'left as they were'));
  return watched.splice(0).map(({ what, held }) => {
    assert.ok(
      held.some((octet) => octet !== 0),
      what,
    );
    return what;
  });
}

describe('the buffers that held a private key of a device', { skip: needs('openssl', 'curl', 'unzip') }, () => {
  let server: Fleetroot;
  let image: Image;

  before(async () => {
    server = await Fleetroot.start();
    await server.json('account', 'create', 'acme');
    image = await server.image('acme');
    watchAll();
  });
  after(async () => {
    unwatchAll();
    await server[Symbol.asyncDispose]();
  });

  test('are overwritten when the device has its file', async () => {
    const device = await image.boot('device-1');
    assert.equal((await device.whoAmI()).status, 200);
    assert.deepEqual(await wiped(), [
      'the scalar',
      'the key',
      'the ciphertext',
      'the end of the ciphertext',
      'the file',
    ]);
  });

  test('are overwritten when it is an RSA key, and those made ahead for others when the server ends', async () => {
    await server.json('account', 'set', 'acme', '--key-type', 'rsa2048');
    await image.boot('device-2');
    await server.json('account', 'set', 'acme', '--key-type', 'p256');
    const ahead = () => watched.filter(({ what }) => what === 'the RSA key').length;
    await eventually(() => ahead() === 1 + madeAhead);
    const inUse = watched.splice(0);
    assert.deepEqual(
      inUse.map(({ what }) => what).filter((what) => what !== 'the RSA key'),
      ['the key', 'the ciphertext', 'the end of the ciphertext', 'the file'],
    );
    const ready = inUse.filter(({ what, buffer }) => what === 'the RSA key' && buffer.some((octet) => octet !== 0));
    assert.equal(ready.length, madeAhead);
    await server.restart();
    watched.push(...inUse);
    assert.equal((await wiped()).length, inUse.length);
  });

  test('are overwritten when the device ID is taken, so that nothing was made of the key', async () => {
    await image.boot('device-3');
    await wiped();
    await image.provision('device-3').then(({ status }) => assert.equal(status, 409));
    assert.deepEqual(await wiped(), ['the scalar', 'the key']);
  });

  test('are overwritten when the connection breaks before the file has arrived', async () => {
    const provisioner = await image.provisioner();
    const body = (id: string) => JSON.stringify({ deviceId: id });
    for (let round = 0; round < 10; round += 1) {
      const curl = ['--max-time', String(0.02 + round * 0.01)];
      await call(provisioner, '/devices', { method: 'POST', body: body(`hasty-${round}`), curl });
    }
    await image.boot('device-4');
    assert.ok((await wiped()).includes('the file'));
  });
});
