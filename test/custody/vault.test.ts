// Keys in OpenBao over TLS: whom we trust, what we ask for, how much at once, and what we make of answers that are odd.

import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';

import type { CustodyFault } from '../../src/custody/custodian.ts';
import { CustodyProblem } from '../../src/custody/custodian.ts';
import { Secret } from '../../src/secret.ts';
import { BackEnd } from '../support/back-end.ts';
import { openbao, OpenBao } from '../support/openbao.ts';
import { succeed } from '../support/process.ts';
import { byToken, newKey, signSomething, vaultOf, writeSecret } from '../support/vault-custodian.ts';

const faulty = (fault: CustodyFault, message = /./) => ({ name: 'Problem', fault, message });

/** Passes connections on, counts them, and ends those it is told to at their next request. */
class Wire implements AsyncDisposable {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  most = 0;
  /** So many of the requests to come are not passed on: their connection is reset instead. */
  resets = 0;

  private constructor(to: number) {
    this.#server = createServer((socket) => {
      this.#open.add(socket);
      this.most = Math.max(this.most, this.#open.size);
      const beyond = connect(to, '127.0.0.1');
      socket.on('data', (part) => {
        if (this.resets === 0) return void beyond.write(part);
        this.resets -= 1;
        socket.resetAndDestroy();
      });
      beyond.pipe(socket);
      for (const side of [socket, beyond]) side.on('error', () => undefined);
      socket.once('close', () => {
        this.#open.delete(socket);
        beyond.destroy();
      });
      beyond.once('close', () => socket.destroy());
    });
  }

  static async open(to: number): Promise<Wire> {
    const wire = new Wire(to);
    wire.#server.listen(0, '127.0.0.1');
    await once(wire.#server, 'listening');
    return wire;
  }

  get address(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

function privateKey(): { secret: Secret; spki: Buffer } {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = pair.publicKey.export({ type: 'spki', format: 'der' });
  return { secret: new Secret(pair.privateKey.export({ type: 'pkcs8', format: 'der' })), spki };
}

describe('the way to a vault', { skip: openbao() }, () => {
  test('leads to whom our CA has certified for that name, and to nobody else', async () => {
    await using bao = await OpenBao.server();
    await bao.transit();
    const other = await bao.pki!.root('Somebody else');
    for (const ca of [other.certificate, null]) {
      await using custodian = vaultOf(bao, { ca });
      await assert.rejects(custodian.check(), faulty('unavailable', /cannot be reached .*certificate/));
    }
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      await using careless = vaultOf(bao, { ca: other.certificate });
      await assert.rejects(careless.check(), faulty('unavailable', /certificate/));
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    }
    await using byAnotherName = vaultOf(bao, { address: `https://127.0.0.2:${bao.port}` });
    await assert.rejects(byAnotherName.check(), faulty('unavailable'));
    await using custodian = vaultOf(bao, { address: `https://localhost:${bao.port}` });
    await custodian.check();
  });

  test('leads, where no CA is named, to whom one of the system has certified', async () => {
    await using bao = await OpenBao.server();
    await bao.transit();
    const script = `
      import { vaultOf } from ${JSON.stringify(import.meta.resolve('../support/vault-custodian.ts'))};
      const { address, rootToken } = process.env;
      await using custodian = vaultOf({ address, rootToken, ca: null });
      await custodian.check();`;
    // Where OpenSSL, and so Node, looks for the system's CAs.
    const env = { ...process.env, SSL_CERT_FILE: bao.ca!, address: bao.address, rootToken: bao.rootToken };
    await succeed(process.execPath, ['--input-type=module', '--eval', script], { env });
  });

  test('is not taken twice for what cannot be sent at all: that error is told as it is', async () => {
    await using bao = await OpenBao.dev();
    await using custodian = vaultOf(bao, { namespace: 'one\ntwo' });
    await assert.rejects(custodian.check(), { code: 'ERR_INVALID_CHAR' });
  });

  test('begins with a CA file that can be read, or not at all', async () => {
    await using bao = await OpenBao.dev();
    assert.throws(() => vaultOf(bao, { ca: '/nowhere/ca.pem' }), faulty('unavailable', /\/nowhere\/ca\.pem.*ENOENT/));
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----';
    for (const text of ['no certificate', broken]) {
      const file = await writeSecret(bao.file('ca.pem'), text);
      assert.throws(() => vaultOf(bao, { ca: file }), faulty('unavailable', /ca\.pem/));
    }
  });
});

describe('keys in OpenBao', { skip: openbao() }, () => {
  let bao: OpenBao;

  before(async () => {
    bao = await OpenBao.dev();
    await bao.transit();
  });

  after(() => bao[Symbol.asyncDispose]());

  const read = async (id: string) => (await bao.api('GET', `transit/keys/fleetroot-${id}`)).data;

  test('are made not exportable, without a backup in the clear, and are never rotated', async () => {
    await using custodian = vaultOf(bao);
    const { exportable, allow_plaintext_backup, auto_rotate_period, latest_version } = await read(
      (await newKey(custodian)).id,
    );
    assert.deepEqual(
      { exportable, allow_plaintext_backup, auto_rotate_period, latest_version },
      { exportable: false, allow_plaintext_backup: false, auto_rotate_period: 0, latest_version: 1 },
    );
    assert.equal((await read((await newKey(custodian, { exportable: true })).id)).exportable, true);
  });

  test('are made once, though they be asked for again, and never in another form than asked for', async () => {
    await using custodian = vaultOf(bao);
    const request = { id: randomUUID(), keyType: 'p256', exportable: false } as const;
    const [one, again] = await Promise.all([custodian.create(request), custodian.create(request)]);
    assert.deepEqual(one, again);
    for (const different of [{ exportable: true }, { keyType: 'p384' as const }]) {
      await assert.rejects(custodian.create({ ...request, ...different }), faulty('corrupted'));
    }
  });

  test('lie in the namespace and at the mount that are named', async () => {
    await bao.namespace('fleet');
    await bao.transit({ mount: 'keys/of-fleetroot', namespace: 'fleet' });
    const place = { namespace: 'fleet', mount: 'keys/of-fleetroot', keyPrefix: 'a_' };
    await using custodian = vaultOf(bao, place);
    const key = await newKey(custodian);
    await signSomething(custodian, key);
    await bao.api('GET', `keys/of-fleetroot/keys/a_${key.id}`, { namespace: 'fleet' });

    for (const wrong of [{ namespace: 'elsewhere' }, { mount: 'elsewhere' }]) {
      await using lost = vaultOf(bao, { ...place, ...wrong });
      await assert.rejects(lost.check(), faulty('unavailable', /has nothing where/));
      // No word that a key is gone, from a vault that cannot know.
      await assert.rejects(lost.destroy(key), faulty('unavailable'));
      await assert.rejects(lost.publicKey(key), faulty('unavailable'));
    }
  });

  test('are found again when the prefix of new ones is another', async () => {
    const key = await newKey(vaultOf(bao));
    await using custodian = vaultOf(bao, { keyPrefix: 'later-' });
    await signSomething(custodian, key);
  });

  test('sign by the version that was recorded when somebody has rotated them', async () => {
    await using custodian = vaultOf(bao);
    const key = await newKey(custodian);
    await bao.api('POST', `transit/keys/fleetroot-${key.id}/rotate`);
    await signSomething(custodian, key);
    assert.deepEqual(await custodian.publicKey(key), Buffer.from(key.publicKey));
  });

  test('are told from others that somebody has put in their place', async () => {
    await using custodian = vaultOf(bao);
    const key = await newKey(custodian);
    await custodian.destroy(key);
    await custodian.create(key);
    await assert.rejects(signSomething(custodian, key), faulty('corrupted', /signed with another key/));
  });

  test('are remembered so that no bit of it can be another', async () => {
    await using custodian = vaultOf(bao);
    const key = await newKey(custodian);
    for (let at = 0; at < key.remembered.length; at += 1) {
      const remembered = Buffer.from(key.remembered);
      remembered[at]! ^= 1;
      await assert.rejects(signSomething(custodian, { ...key, remembered }), CustodyProblem, `octet ${at}`);
    }
  });

  test('are never others of the engine, whatever the registry says that their names and IDs are', async () => {
    await using custodian = vaultOf(bao);
    const id = randomUUID();
    const names = ['somebody-elses-signing-key', 'key', `fleetroot-${id}x`, `fleetroot-${id.toUpperCase()}`];
    for (const name of names) {
      await bao.api('POST', `transit/keys/${name}`, { body: { type: 'ecdsa-p256' } });
      const { data } = await bao.api('GET', `transit/keys/${name}`);
      const publicKey = createPublicKey(data.keys['1'].public_key).export({ type: 'spki', format: 'der' });
      const remembered = Buffer.from(JSON.stringify({ format: 1, key: name, version: 1 }));
      for (const told of [id, 'key', name, name.slice(-36)]) {
        const key = { id: told, keyType: 'p256', exportable: false, publicKey, remembered } as const;
        await assert.rejects(custodian.destroy(key), faulty('corrupted'), `${name} as ${told}`);
        await assert.rejects(signSomething(custodian, key), faulty('corrupted'), `${name} as ${told}`);
      }
      assert.ok((await bao.keys()).includes(name), name);
    }
    await assert.rejects(custodian.create({ id: 'key', keyType: 'p256', exportable: false }), TypeError);
  });

  test('are not given out where they were made never to be, though the vault would do it by now', async () => {
    await using custodian = vaultOf(bao);
    const key = await newKey(custodian);
    await bao.api('POST', `transit/keys/fleetroot-${key.id}/config`, { body: { exportable: true } });
    await assert.rejects(custodian.export(key), faulty('not_exportable'));
  });

  test('sign for very many at once over no more connections than are allowed', async () => {
    await using wire = await Wire.open(bao.port);
    await using custodian = vaultOf(bao, { address: wire.address, connections: 3 });
    const keys = await Promise.all([newKey(custodian), newKey(custodian), newKey(custodian, { keyType: 'rsa2048' })]);
    await Promise.all(Array.from({ length: 300 }, (_, at) => signSomething(custodian, keys[at % 3]!)));
    assert.equal(wire.most, 3);
  });

  test('sign although a connection is reset under a call; a second time the caller is told', async () => {
    await using wire = await Wire.open(bao.port);
    await using custodian = vaultOf(bao, { address: wire.address });
    const key = await newKey(custodian);
    wire.resets = 1;
    await signSomething(custodian, key);
    wire.resets = 2;
    await assert.rejects(signSomething(custodian, key), faulty('unavailable', /cannot be reached/));
    await signSomething(custodian, key);
  });

  test('that could not be taken in leave nothing, and harm nothing that was there', async () => {
    await using custodian = vaultOf(bao);
    const request = { id: randomUUID(), keyType: 'p256', exportable: false } as const;
    await bao.policy('no-import', 'path "transit/keys/+" { capabilities = ["update", "read", "delete"] }');
    await using powerless = vaultOf(bao, { login: byToken(await bao.token({ policies: ['no-import'] })) });
    using one = privateKey().secret;
    await assert.rejects(powerless.import(request, one), faulty('denied'));
    assert.equal((await bao.keys()).includes(`fleetroot-${request.id}`), false);

    const key = { ...request, ...(await custodian.import(request, one)) };
    using other = privateKey().secret;
    for (const exportable of [false, true]) {
      await assert.rejects(custodian.import({ ...request, exportable }, other), faulty('corrupted'));
    }
    await signSomething(custodian, key);
  });

  test('that turn out to be others than those given are destroyed again', async () => {
    const { secret, spki } = privateKey();
    const { spki: another } = privateKey();
    const pem = `-----BEGIN PUBLIC KEY-----\n${another.toString('base64')}\n-----END PUBLIC KEY-----\n`;
    const { data } = await bao.api('GET', 'transit/wrapping_key');
    const id = randomUUID();
    const answers: Record<string, object> = {
      'GET /v1/transit/wrapping_key': { data },
      [`GET /v1/transit/keys/${id}`]: {
        data: { type: 'ecdsa-p256', exportable: false, latest_version: 1, keys: { 1: { public_key: pem } } },
      },
    };
    await using fake = await FakeVault.open((request, response) => {
      response.end(JSON.stringify(answers[`${request.method} ${request.url}`] ?? { data: {} }));
    });
    await using custodian = fake.custodian();
    const request = { id, keyType: 'p256', exportable: false } as const;
    await assert.rejects(custodian.import(request, secret), faulty('corrupted', /another key/));
    const destroyed = fake.asked.slice(-2).map(({ method, url }) => `${method} ${url}`);
    assert.deepEqual(destroyed, [`POST /v1/transit/keys/${id}/config`, `DELETE /v1/transit/keys/${id}`]);
    assert.ok(!spki.equals(another));
  });
});

/** What no real vault says, said by a server that takes every login. */
class FakeVault implements AsyncDisposable {
  readonly #backEnd: BackEnd;

  private constructor(backEnd: BackEnd) {
    this.#backEnd = backEnd;
  }

  static async open(answer: RequestListener): Promise<FakeVault> {
    const backEnd = await BackEnd.open();
    backEnd.answer = (request, response) => {
      if (!request.url!.endsWith('/renew-self')) return answer(request, response);
      response.writeHead(400);
      response.end('{"errors":["lease is not renewable"]}');
    };
    return new FakeVault(backEnd);
  }

  get asked() {
    return this.#backEnd.asked;
  }

  custodian() {
    const address = `http://127.0.0.1:${this.#backEnd.port}`;
    return vaultOf({ address, ca: null, rootToken: 's.our-own-token' } as OpenBao, { keyPrefix: '', timeout: 5000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#backEnd[Symbol.asyncDispose]();
  }
}

describe('what calls itself a vault', () => {
  const publicKey = privateKey().spki;
  const id = randomUUID();
  const remembered = Buffer.from(JSON.stringify({ format: 1, key: id, version: 1 }));
  const key = { id, keyType: 'p256', exportable: true, publicKey, remembered } as const;
  const json = (status: number, value: unknown) => ({ status, body: JSON.stringify(value) });
  const signature = (text: unknown) => json(200, { data: { signature: text } });

  const odd: Record<string, [CustodyFault, { status: number; body: string }]> = {
    'a web page': ['unavailable', { status: 200, body: '<html>Welcome</html>' }],
    nothing: ['unavailable', { status: 200, body: '' }],
    'JSON that is no object': ['unavailable', json(200, null)],
    'a signature that is a number': ['unavailable', signature(7)],
    'a signature by another version': ['unavailable', signature('vault:v2:MEUC')],
    'a signature that is no base64': ['unavailable', signature('vault:v1:*MEUC')],
    'a signature that is none': ['corrupted', signature('vault:v1:MEUC')],
    'too many requests': ['unavailable', json(429, { errors: ['slow down'] })],
    'a node of a disaster recovery site': ['unavailable', json(472, {})],
    'a standby without its cluster': ['unavailable', json(474, {})],
    'an error of its own': ['unavailable', json(500, { errors: ['storage'] })],
    'a load balancer': ['unavailable', { status: 503, body: 'no back end' }],
    'a seal': ['sealed', json(503, { errors: ['Vault is sealed'] })],
    'no key': ['no_such_key', json(400, { errors: ['signing key not found'] })],
    'no mount': ['unavailable', json(404, { errors: ['no handler for route "x". route entry not found.'] })],
    'errors that are no texts': ['unavailable', json(400, { errors: [{ deep: 1 }, 7] })],
    'a refusal': ['denied', json(403, { errors: ['permission denied'] })],
  };
  for (const [what, [fault, { status, body }]] of Object.entries(odd)) {
    test(`answers a signature with ${what}: ${fault}`, async () => {
      await using fake = await FakeVault.open((_, response) => {
        response.writeHead(status);
        response.end(body);
      });
      await using custodian = fake.custodian();
      await assert.rejects(signSomething(custodian, key), faulty(fault));
    });
  }

  test('answers without end', async () => {
    await using fake = await FakeVault.open((_, response) => response.end(' '.repeat(2 * 1024 * 1024)));
    await using custodian = fake.custodian();
    await assert.rejects(signSomething(custodian, key), faulty('unavailable', /answers without end/));
  });

  test('breaks off in the middle of its answer', async () => {
    let calls = 0;
    await using fake = await FakeVault.open((_, response) => {
      calls += 1;
      response.writeHead(200, { 'content-length': 100 });
      response.write('{"data":');
      setImmediate(() => response.destroy());
    });
    await using custodian = fake.custodian();
    await assert.rejects(signSomething(custodian, key), faulty('unavailable', /broke off/));
    assert.equal(calls, 1);
  });

  test('sends us elsewhere: neither we nor our token go there', async () => {
    await using elsewhere = await BackEnd.open();
    for (const status of [301, 302, 307, 308]) {
      await using fake = await FakeVault.open((request, response) => {
        response.writeHead(status, { location: `http://127.0.0.1:${elsewhere.port}${request.url}` });
        response.end();
      });
      await using custodian = fake.custodian();
      await assert.rejects(signSomething(custodian, key), faulty('unavailable', /sends us elsewhere/));
      await assert.rejects(custodian.check(), faulty('unavailable'));
    }
    assert.deepEqual(elsewhere.asked, []);
  });

  test('says our own token back to us: we do not pass it on', async () => {
    await using fake = await FakeVault.open((request, response) => {
      response.writeHead(500);
      response.end(JSON.stringify({ errors: [`what is ${String(request.headers['x-vault-token'])}\u001b[2J?`] }));
    });
    await using custodian = fake.custodian();
    await assert.rejects(signSomething(custodian, key), (error: CustodyProblem) => {
      assert.equal(error.fault, 'unavailable');
      assert.doesNotMatch(`${error.message} ${error.hint}`, /our-own-token|\u001b/);
      return true;
    });
  });

  test('gives out a key that is none, or none at all', async () => {
    for (const text of [
      '"-----BEGIN EC PRIVATE KEY-----\\nAAAA\\n-----END EC PRIVATE KEY-----"',
      '"x"',
      '7',
      '"-----BEGIN ',
    ]) {
      await using fake = await FakeVault.open((_, response) => void response.end(`{"data":{"keys":{"1":${text}}}}`));
      await using custodian = fake.custodian();
      await assert.rejects(custodian.export(key), faulty('unavailable'));
    }
  });

  test('takes us in with what is no token', async () => {
    for (const auth of [
      null,
      { client_token: 'a\r\nb', lease_duration: 1 },
      { client_token: 'a', lease_duration: '1' },
    ]) {
      await using backEnd = await BackEnd.open();
      backEnd.answer = (_, response) => void response.end(JSON.stringify({ auth }));
      const address = `http://127.0.0.1:${backEnd.port}`;
      await using custodian = vaultOf({ address, ca: null, rootToken: 'x' } as OpenBao);
      await assert.rejects(custodian.check(), faulty('unavailable', /when asked to log in/));
    }
  });
});
