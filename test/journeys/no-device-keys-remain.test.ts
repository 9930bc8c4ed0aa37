// After a thousand provisionings no file of the server holds a private key of a device: the real octets are looked for.

import assert from 'node:assert/strict';
import type { KeyObject } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import https from 'node:https';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { at, openClient } from '../../src/cli/client.ts';
import { Image } from '../support/image.ts';
import { Needles } from '../support/needles.ts';
import { keyInPkcs12 } from '../support/p12-key.ts';
import { succeed, temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { ServeProcess } from '../support/serve.ts';

const ecDevices = 1000;
/** An RSA key takes its time to be made. */
const rsaDevices = 12;
const connections = 8;

/** The octets that make a key a private one: an EC key's scalar, an RSA key's exponent and primes. */
function secretsOf(key: KeyObject): Buffer[] {
  const { d, p, q } = key.export({ format: 'jwk' });
  return [d, p, q].filter((part) => part !== undefined).map((part) => Buffer.from(part, 'base64url'));
}

/** What everybody may know of a key, and what lies in the registry in its certificate. */
function publicPartOf(key: KeyObject): Buffer {
  const { x, n } = key.export({ format: 'jwk' });
  return Buffer.from((x ?? n)!, 'base64url');
}

/** Provisions devices of an account over some connections that are kept, and gives each one's PKCS#12. */
async function provisionMany(image: Image, port: number, count: number, name: string): Promise<Buffer[]> {
  const { host, hostname } = new URL(image.url);
  await using closing = new AsyncDisposableStack();
  const agent = closing.adopt(
    new https.Agent({
      keepAlive: true,
      maxSockets: connections,
      pfx: await readFile(join(image.dir, 'autoprov_credentials.p12')),
      passphrase: '',
      ca: await readFile(image.trusts),
      servername: hostname,
    }),
    async (open) => open.destroy(),
  );
  const provision = (deviceId: string) =>
    new Promise<Buffer>((resolve, reject) => {
      const headers = { host, 'content-type': 'application/json' };
      const request = https.request({ agent, host: '127.0.0.1', port, method: 'POST', path: '/devices', headers });
      request.once('error', reject).once('response', (response) => {
        response.toArray().then((parts: Buffer[]) => {
          const body = Buffer.concat(parts);
          if (response.statusCode === 200) resolve(body);
          else reject(new Error(body.toString()));
        }, reject);
      });
      request.end(JSON.stringify({ deviceId }));
    });
  return await Promise.all(Array.from({ length: count }, (_, index) => provision(`${name}-${index}`)));
}

async function imageOf(dir: string, account: string, keyType: string): Promise<Image> {
  const api = openClient(dir);
  await api.post('/accounts', { name: account });
  await api.patch(at`/accounts/${account}`, { key_type: keyType });
  const { zip } = await api.post<{ zip: string }>(at`/accounts/${account}/credentials`, {});
  // Beside the data, where nothing is looked for.
  const file = join(dir, '..', `${account}.zip`);
  await writeFile(file, Buffer.from(zip, 'base64'));
  return Image.unpack(file);
}

describe('a private key of a device', { skip: needs('openssl', 'unzip') }, () => {
  test(`is in no file and no log, after ${ecDevices} provisionings`, { timeout: 5 * 60_000 }, async () => {
    await using directory = await temporaryDirectory();
    const dir = directory.file('data');
    mkdirSync(dir, { mode: 0o700 });
    writeFileSync(join(dir, 'fleetroot.toml'), '[log]\nlevel = "trace"\n');
    await using server = await ServeProcess.start(dir, '--gateway-port', '0');
    const { port } = server;
    const images = [await imageOf(dir, 'ec', 'p256'), await imageOf(dir, 'rsa', 'rsa2048')] as const;
    const pkcs12s = [
      ...(await provisionMany(images[0], port, ecDevices, 'ec')),
      ...(await provisionMany(images[1], port, rsaDevices, 'rsa')),
    ];

    const privateKeys = new Needles();
    const publicKeys = new Needles();
    const keys = pkcs12s.map(keyInPkcs12);
    for (const [index, key] of keys.entries()) {
      for (const secret of secretsOf(key)) privateKeys.add(`device ${index}`, secret);
      publicKeys.add(`device ${index}`, publicPartOf(key));
    }
    // The keys that are looked for are those that openssl finds in the files too.
    for (const index of [0, ecDevices]) {
      const file = directory.file(`${index}.p12`);
      await writeFile(file, pkcs12s[index]!);
      const pem = await succeed('openssl', ['pkcs12', '-in', file, '-passin', 'pass:', '-nocerts', '-nodes']);
      assert.ok(pem.includes(keys[index]!.export({ format: 'pem', type: 'pkcs8' }).trim()));
    }

    const filesNow = () => readdirSync(dir).filter((name) => !name.endsWith('.sock'));
    const look = (when: string) => {
      const found = filesNow().flatMap((name) => privateKeys.foundIn(readFileSync(join(dir, name))));
      assert.deepEqual([...found, ...privateKeys.foundIn(Buffer.from(server.said))], [], when);
    };
    // While it runs, with the journal as it is; killed, as a power cut leaves it; and in order.
    assert.ok(filesNow().includes('registry.db-wal'));
    look('while the server runs');
    await server.kill();
    look('after a power cut');
    {
      await using again = await ServeProcess.start(dir, '--gateway-port', '0');
      assert.equal(await again.stop(), 0);
      assert.deepEqual(privateKeys.foundIn(Buffer.from(again.said)), []);
    }
    look('after an orderly end');

    // The same search finds every one of the devices by the public half of its key, and the log has been written.
    const seen = new Set(
      publicKeys.foundIn(readFileSync(join(dir, 'registry.db'))).map((found) => found.split(' (')[0]),
    );
    assert.equal(seen.size, ecDevices + rsaDevices);
    assert.match(server.said, /operator call/);

    // And it finds a private key in every form in which a mistake could leave one.
    for (const key of [keys[7]!, keys[ecDevices]!]) {
      const der = key.export({ format: 'der', type: 'pkcs8' });
      const secret = secretsOf(key)[0]!;
      const forms: Record<string, Buffer | string> = {
        der,
        scalar: secret,
        pem: key.export({ format: 'pem', type: 'pkcs8' }),
        sec1orPkcs1: key.export({ format: 'pem', type: key.asymmetricKeyType === 'ec' ? 'sec1' : 'pkcs1' }),
        jwk: JSON.stringify(key.export({ format: 'jwk' })),
        hex: der.toString('hex'),
        HEX: secret.toString('hex').toUpperCase(),
        json: JSON.stringify({ key: der }),
        inspected: inspect(secret),
      };
      for (const before of ['', 'x', 'xy'])
        forms[`base64${before}`] = Buffer.from(`${before}${der.toString('latin1')}`, 'latin1').toString('base64');
      for (const [form, copy] of Object.entries(forms)) {
        const planted = join(dir, `planted-${form}`);
        writeFileSync(planted, Buffer.concat([Buffer.from('…something before it: '), Buffer.from(copy as string)]));
        assert.notDeepEqual(privateKeys.foundIn(readFileSync(planted)), [], form);
      }
    }
  });
});
