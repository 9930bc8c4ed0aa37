// OpenBao is sealed, killed and opened again in the middle of 200 parallel provisionings, and so is the server killed.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { at, type Client, openClient } from '../../src/cli/client.ts';
import { askGateway, type Trusted } from '../../src/demo/device.ts';
import { eventually } from '../support/eventually.ts';
import { Image } from '../support/image.ts';
import { OpenBao, openbao } from '../support/openbao.ts';
import { temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { ServeProcess } from '../support/serve.ts';
import { type VaultAccess, vaultAccess } from '../support/vault.ts';

const newcomers = 200;
const veterans = 5;

/** A server in a process, its keys in an OpenBao, an account in it, and whoever calls its gateway. */
class Story implements AsyncDisposable {
  readonly bao: OpenBao;
  readonly vault: VaultAccess;
  readonly api: Client;
  readonly #held: AsyncDisposableStack;
  readonly #dir: string;
  readonly #gateway: Trusted;
  readonly #provisioner: Buffer;
  #server: ServeProcess;
  /** The PKCS#12 of those that have been answered. */
  readonly provisioned = new Map<string, Buffer>();
  /** How often somebody was told to wait. */
  toldToWait = 0;

  private constructor(
    held: AsyncDisposableStack,
    parts: {
      bao: OpenBao;
      vault: VaultAccess;
      api: Client;
      dir: string;
      gateway: Trusted;
      provisioner: Buffer;
      server: ServeProcess;
    },
  ) {
    this.#held = held;
    this.bao = parts.bao;
    this.vault = parts.vault;
    this.api = parts.api;
    this.#dir = parts.dir;
    this.#gateway = parts.gateway;
    this.#provisioner = parts.provisioner;
    this.#server = parts.server;
  }

  static async open(): Promise<Story> {
    await using held = new AsyncDisposableStack();
    const { path: dir } = held.use(await temporaryDirectory());
    const bao = held.use(await OpenBao.server());
    const vault = await vaultAccess(bao);
    const settings = { ...vault.options, 'custody.default': 'vault', 'custody.timeout': '2s' };
    const lines = Object.entries(settings).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
    await writeFile(join(dir, 'fleetroot.toml'), lines.join(''));
    const server = await ServeProcess.start(dir, '--gateway-port', '0');
    const api = openClient(dir);
    await api.post('/accounts', { name: 'acme', kind: 'test' });
    const { zip } = await api.post<{ zip: string }>(at`/accounts/${'acme'}/credentials`, {});
    await writeFile(join(dir, 'c.zip'), Buffer.from(zip, 'base64'));
    const image = await Image.unpack(join(dir, 'c.zip'));
    const { hostname: host } = new URL(image.url);
    const gateway = { host, port: server.port, ca: await readFile(image.trusts) };
    const provisioner = await readFile(join(image.dir, 'autoprov_credentials.p12'));
    return new Story(held.move(), { bao, vault, api, dir, gateway, provisioner, server });
  }

  /** Asks for a device's credentials until it has them. A server that is not there is asked again, as by any device. */
  async provision(deviceId: string): Promise<void> {
    const body = JSON.stringify({ deviceId, ttl: '36000' });
    for (;;) {
      const reply = await askGateway(this.#gateway, { pfx: this.#provisioner }, 'POST', '/devices', body).catch(
        () => null,
      );
      if (reply?.status === 200) {
        this.provisioned.set(deviceId, reply.body);
        return;
      }
      if (reply !== null) {
        assert.deepEqual([reply.status, reply.json?.['code']], [503, 'custody_unavailable'], reply.text);
        this.toldToWait += 1;
      }
      await pause(100);
    }
  }

  /** `GET /device`, on a connection of its own. */
  async isServed(deviceId: string): Promise<void> {
    const reply = await askGateway(this.#gateway, { pfx: this.provisioned.get(deviceId) }, 'GET', '/device');
    assert.equal(reply.json?.['device_id'], deviceId, reply.text);
  }

  /** Waits until the story has come so far. */
  async until(come: (story: Story) => boolean): Promise<void> {
    await eventually(() => come(this));
  }

  /** What the registry says of each key that it knows. */
  keys(): { id: string; account: string | null; ended: number; held: number }[] {
    using registry = new DatabaseSync(join(this.#dir, 'registry.db'), { readOnly: true });
    return registry
      .prepare(
        `SELECT keys.id, accounts.name AS account, destroyed_at IS NOT NULL AS ended, remembered IS NOT NULL AS held
         FROM keys LEFT JOIN accounts ON accounts.id = keys.account_id WHERE keys.account_id <> ''`,
      )
      .all() as ReturnType<Story['keys']>;
  }

  /** How often the server's log says this. */
  logged(message: string): number {
    return this.#server.said.split(`"msg":"${message}"`).length - 1;
  }

  /** Kills the server and starts it again on its port. */
  async killServer({ meanwhile = async () => {} }: { meanwhile?: () => Promise<void> } = {}): Promise<void> {
    await this.#server.kill();
    await meanwhile();
    this.#server = await ServeProcess.start(this.#dir, '--gateway-port', String(this.#gateway.port));
  }

  /** Each device has exactly one certificate that counts, and it is the one that it was given; each use was counted once. */
  async isInOrder(): Promise<void> {
    for (const deviceId of this.provisioned.keys()) await this.isServed(deviceId);
    using registry = new DatabaseSync(join(this.#dir, 'registry.db'), { readOnly: true });
    const states = registry
      .prepare(
        `SELECT device_id, group_concat(certificates.state) AS states FROM devices
         LEFT JOIN certificates ON certificates.device_uuid = devices.uuid AND certificates.state <> 'revoked'
         GROUP BY device_id`,
      )
      .all();
    assert.equal(states.length, this.provisioned.size);
    for (const { device_id, states: good } of states) assert.equal(good, 'current', String(device_id));
    const [key] = await this.api.list<{ uses: number }>(at`/accounts/${'acme'}/provisioning-keys`);
    assert.equal(key?.uses, this.provisioned.size);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await this.#held[Symbol.asyncDispose]();
  }
}

const names = (what: string, count: number) => Array.from({ length: count }, (_, index) => `${what}-${index}`);

describe('OpenBao goes away midway', { skip: needs('openssl', 'unzip') || openbao() }, () => {
  test('it is sealed and killed in the middle of 200 provisionings: all end well, and devices there already never notice', async () => {
    await using story = await Story.open();
    const there = names('veteran', veterans);
    await Promise.all(there.map((deviceId) => story.provision(deviceId)));

    const enough = new AbortController();
    let requests = 0;
    const answering = there.map(async (deviceId) => {
      while (!enough.signal.aborted) {
        await story.isServed(deviceId);
        requests += 1;
      }
    });
    const arriving = names('newcomer', newcomers).map((deviceId) => story.provision(deviceId));

    await story.until(({ provisioned }) => provisioned.size > veterans + 20);
    await story.bao.seal();
    await story.until(({ toldToWait }) => toldToWait > newcomers / 2);
    const sealedAt = requests;
    await story.until(() => requests > sealedAt + 2 * veterans);
    const before = story.provisioned.size;
    assert.ok(before < veterans + newcomers, 'it was sealed in the middle');
    await story.bao.unseal();

    await story.until(({ provisioned }) => provisioned.size > before + 20);
    const told = story.toldToWait;
    await story.bao.kill();
    await story.until(({ toldToWait }) => toldToWait > told);
    assert.ok(story.provisioned.size < veterans + newcomers, 'it was killed in the middle');
    await story.bao.start();
    await story.bao.unseal();

    await Promise.all(arriving);
    enough.abort();
    await Promise.all(answering);
    await story.isInOrder();
    // Sealed, down, and perhaps sealed when it was up again: each is told once, whoever asked meanwhile.
    const away = story.logged('a custodian is away');
    assert.ok(away >= 2 && away <= 3, `${away}`);
    assert.equal(story.logged('a custodian is back'), 2);
    assert.ok(story.logged('a request could not be served') < story.toldToWait / 2);
  });

  test('the server is killed in the middle of 200 provisionings, once while OpenBao is sealed: all end well', async () => {
    await using story = await Story.open();
    const there = names('veteran', veterans);
    await Promise.all(there.map((deviceId) => story.provision(deviceId)));
    const arriving = names('newcomer', newcomers).map((deviceId) => story.provision(deviceId));

    await story.until(({ provisioned }) => provisioned.size > veterans + 20);
    await story.killServer();
    await story.until(({ provisioned }) => provisioned.size > veterans + 60);
    await story.bao.seal();
    await story.killServer();
    for (const deviceId of there) await story.isServed(deviceId);
    const told = story.toldToWait;
    await story.until(({ toldToWait }) => toldToWait > told);
    assert.ok(story.provisioned.size < veterans + newcomers, 'it was all in the middle');
    await story.bao.unseal();

    await Promise.all(arriving);
    await story.isInOrder();
  });

  test('it is sealed when the server has been killed in the middle of making accounts: what was half made is undone', async () => {
    await using story = await Story.open();
    const asked = names('account', 8);
    const made = Promise.allSettled(asked.map((name) => story.api.post('/accounts', { name, kind: 'test' })));
    await eventually(async () => (await story.vault.keys()).length >= 6 + asked.length);
    await story.killServer({ meanwhile: () => story.bao.seal() });
    await made;
    const accounts = await story.api.list<{ name: string }>('/accounts');
    assert.ok(accounts.length < 1 + asked.length, 'it was killed in the middle');
    assert.ok(
      story.keys().some(({ ended, held }) => ended && held),
      'keys of accounts that were undone are in the vault still',
    );

    await story.bao.unseal();
    const condemned = () => story.keys().filter(({ ended, held }) => ended && held).length;
    for (let left = condemned(); left > 0; left = condemned()) await eventually(() => condemned() < left);
    const there = (await story.vault.keys()).join();
    for (const { id, account, ended } of story.keys()) {
      assert.equal(there.includes(id), account !== null, id);
      assert.equal(ended === 1, account === null, id);
    }
    await Promise.all(asked.map((name) => story.api.post('/accounts', { name, kind: 'test' }).catch(() => null)));
    assert.equal((await story.api.list('/accounts')).length, 1 + asked.length);
  });
});
