// The rotation of the master key: nothing is lost wherever it is interrupted, and the key before opens nothing afterwards.

import assert from 'node:assert/strict';
import {
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { describe, test } from 'node:test';

import { type ConfigOptions, loadConfig } from '../../src/config.ts';
import { keyContext } from '../../src/custody/key-context.ts';
import type { MasterKey } from '../../src/custody/master-key.ts';
import type { Seal } from '../../src/custody/seal.ts';
import { gatewayKeyContext } from '../../src/issuing/gateway-ca.ts';
import { openLog } from '../../src/log.ts';
import { accountFileContext } from '../../src/provisioning/account-file.ts';
import { totpContext } from '../../src/login/totp.ts';
import { webhookSecretContext } from '../../src/notification/webhook-secret.ts';
import { upstreamKeyContext } from '../../src/provisioning/upstream.ts';
import { accountFilesOf } from '../../src/registry/account-files.ts';
import { gatewayCertificateOf } from '../../src/registry/gateway-cas.ts';
import { keyById } from '../../src/registry/keys.ts';
import { totpSecret } from '../../src/registry/second-factors.ts';
import { webhookSecrets } from '../../src/registry/webhooks.ts';
import { ticketKeys } from '../../src/registry/ticket-keys.ts';
import { upstreamsOf } from '../../src/registry/upstreams.ts';
import { ticketKeyContext } from '../../src/server/ticket-keys.ts';
import { openRegistry, type Registry, type WriteArguments } from '../../src/registry/writer.ts';
import { openMasterKey } from '../../src/server/master-key.ts';
import { insertRows, rowsOf, sqlite } from '../support/registry.ts';

const oneKey = Buffer.alloc(32, 1).toString('base64');
const anotherKey = Buffer.alloc(32, 2).toString('base64');
const passphrase = 'correct horse battery staple';
const account_id = 'a-account';
const operator_id = 'a-operator';
const prefix = '/a';
/** More than are gone through at a time. */
const manyFiles = 130;
const entryOf = (index: number) => `entry-${String(index).padStart(3, '0')}`;

interface Settings {
  readonly options?: ConfigOptions;
  readonly env?: Readonly<Record<string, string>>;
}

/** A running server, as far as its master key. */
interface Running extends AsyncDisposable {
  readonly registry: Registry;
  readonly masterKey: MasterKey;
  readonly seal: Seal;
}

/** Stands between a server and its registry: may let the power fail before or after one of its writes. */
type PowerCut = { at: number; when: 'before' | 'after' };

/** A data directory whose registry holds something sealed in every place there is. */
class House implements Disposable {
  readonly #home = sqlite.home();
  readonly directory = this.#home.directory;

  at(name: string): string {
    return `${this.directory}/${name}`;
  }

  get files(): string[] {
    return readdirSync(this.directory).filter((name) => !/^(registry|lock)\.db/.test(name));
  }

  async start({ options = {}, env = {} }: Settings = {}, cut: PowerCut | null = null): Promise<Running> {
    const config = loadConfig({ dataDir: this.directory, options, env: {} });
    await using opened = new AsyncDisposableStack();
    const file = this.at('registry.db');
    const registry = opened.use(await openRegistry({ file, clock: Date.now, onFailure: assert.fail }));
    const seen = cut === null ? registry : withPowerCut(registry, cut);
    // Until the end, since a rotation reads them too.
    Object.assign(process.env, env);
    opened.defer(() => Object.keys(env).forEach((name) => delete process.env[name]));
    const masterKey = opened.use(await openMasterKey(config, seen, openLog('silent')));
    const all = opened.move();
    return { registry, masterKey, seal: masterKey.seal, [Symbol.asyncDispose]: () => all.disposeAsync() };
  }

  /** Fills the registry under the key that a start with these settings makes or finds. */
  async populate(settings: Settings = {}): Promise<void> {
    await using server = await this.start(settings);
    const { seal } = server;
    const rows = rowsOf('a');
    const sealed = (context: string) => new Uint8Array(seal.seal(Buffer.from(`secret of ${context}`), context));
    const key = (id: string, exportable: 0 | 1) => {
      const remembered = sealed(keyContext({ id, exportable: exportable === 1 }));
      return { ...rows.keys[0]!, id, public_key_sha256: id, exportable: exportable as 1, remembered };
    };
    rows.keys.splice(
      0,
      1,
      key('a-key', 1),
      key('b-key', 0),
      { ...key('c-key', 1), custodian: 'vault', remembered: new TextEncoder().encode('transit/keys/c-key') },
      { ...key('d-key', 1), remembered: null as never },
    );
    rows.gateway_certificates[0]!.sealed_key = sealed(gatewayKeyContext('a-gateway-certificate'));
    rows.account_files = Array.from({ length: manyFiles }, (_, index) => ({
      ...rows.account_files[0]!,
      entry: entryOf(index),
      sealed_content: sealed(accountFileContext(account_id, entryOf(index))),
    }));
    rows.upstreams[0]!.sealed_key = sealed(upstreamKeyContext({ account_id, prefix }));
    rows.webhook_secrets[0]!.sealed = sealed(webhookSecretContext('a-webhook-secret'));
    rows.upstreams.push({ ...rows.upstreams[0]!, prefix: '/b', sealed_key: null as never });
    const db = await this.#home.database();
    await insertRows(db, rows);
    await db
      .updateTable('totp_secrets')
      .set({ sealed: sealed(totpContext(operator_id)) })
      .execute();
    await db
      .insertInto('ticket_keys')
      .values({ id: 'a-ticket-key', sealed_key: sealed(ticketKeyContext('a-ticket-key')), starts_at: 1, created_at: 1 })
      .execute();
  }

  [Symbol.dispose](): void {
    this.#home[Symbol.dispose]();
  }
}

/** What is sealed in a filled house: two keys, a gateway certificate's, a back end's, a webhook's secret, two of an authenticator app, a key of TLS tickets, the files. */
const sealedValues = 8 + manyFiles;

function withPowerCut(registry: Registry, { at, when }: PowerCut): Registry {
  let writes = 0;
  const failure = () => new Error('the power has failed');
  const write: Registry['write'] = async (name, args) => {
    writes += 1;
    if (writes > at || (writes === at && when === 'before')) throw failure();
    const result = await registry.write(name, args);
    if (writes === at) throw failure();
    return result as never;
  };
  return Object.assign(Object.create(registry) as Registry, { write });
}

/** Opens everything that is sealed, and gives how much it was. */
async function openAll({ read }: Registry, seal: Seal): Promise<number> {
  let opened = 0;
  const open = (sealed: Uint8Array, context: string) => {
    assert.equal(seal.open(sealed, context).reveal().toString(), `secret of ${context}`);
    opened += 1;
  };
  for (const id of ['a-key', 'b-key']) {
    const key = (await keyById(read, id))!;
    open(key.remembered!, keyContext({ id, exportable: key.exportable === 1 }));
  }
  const certificate = (await gatewayCertificateOf(read, account_id))!;
  open(certificate.sealed_key, gatewayKeyContext(certificate.id));
  for (const { entry, sealed_content } of await accountFilesOf(read, account_id)) {
    open(sealed_content, accountFileContext(account_id, entry));
  }
  for (const state of ['active', 'pending'] as const) {
    open((await totpSecret(read, operator_id, state))!.sealed, totpContext(operator_id));
  }
  const [secret] = await webhookSecrets(read, 'a-webhook', Date.now());
  open(secret!.sealed, webhookSecretContext(secret!.id));
  for (const { id, sealed_key } of await ticketKeys(read)) open(sealed_key, ticketKeyContext(id));
  const [upstream, other] = await upstreamsOf(read, account_id);
  open(upstream!.sealed_key!, upstreamKeyContext(upstream!));
  assert.equal(other!.sealed_key, null);
  assert.equal(Buffer.from((await keyById(read, 'c-key'))!.remembered!).toString(), 'transit/keys/c-key');
  assert.equal((await keyById(read, 'd-key'))!.remembered, null);
  return opened;
}

const refusal = (message: RegExp) => (error: any) => {
  assert.match(error.message, message);
  return error.code === 'custody_unavailable';
};

describe('a rotation', () => {
  test('brings all there is under a new key, while the server serves; the old key opens nothing any more', async () => {
    using house = new House();
    await house.populate();
    const old = readFileSync(house.at('master.key'));
    const before: Buffer[] = [];
    {
      await using server = await house.start();
      for (const { sealed_content } of await accountFilesOf(server.registry.read, account_id)) {
        before.push(Buffer.from(sealed_content));
      }
      const { values, source } = await server.masterKey.rotate();
      assert.deepEqual([values, source.name], [sealedValues, house.at('master.key')]);
      assert.equal(await openAll(server.registry, server.seal), sealedValues);
      // What was read before the rotation can still be used by whoever had it in hand.
      server.seal.open(before[0]!, accountFileContext(account_id, entryOf(0)));

      // No file has a data key left that the old master key could unwrap.
      const all = readdirSync(house.directory).map((name) => readFileSync(house.at(name)));
      for (const sealed of before) assert.ok(all.every((content) => !content.includes(sealed.subarray(9, 69))));
      // The search is able to find: what lies under the new key is there.
      const [file] = await accountFilesOf(server.registry.read, account_id);
      assert.ok(all.some((content) => content.includes(file!.sealed_content.subarray(9, 69))));
    }
    assert.notDeepEqual(readFileSync(house.at('master.key')), old);
    assert.deepEqual(house.files, ['master.key']);
    {
      await using server = await house.start();
      assert.equal(await openAll(server.registry, server.seal), sealedValues);
    }
    writeFileSync(house.at('master.key'), old);
    await assert.rejects(house.start(), refusal(/not the one under which/));
  });

  test('that a power cut ends at any of its steps is finished by the next start, and nothing is lost', async () => {
    using template = new House();
    await template.populate();
    const old = readFileSync(template.at('master.key'));
    let finished = false;
    let interrupted = 0;
    // What lies on the disk before a write is what lay there after the one before it.
    for (let at = 1; !finished; at += 1) {
      for (const when of at === 1 ? (['before', 'after'] as const) : (['after'] as const)) {
        using house = new House();
        cpSync(template.directory, house.directory, { recursive: true });
        const step = `${when} write ${at}`;
        {
          await using server = await house.start({}, { at, when });
          finished = await server.masterKey.rotate().then(
            () => true,
            (error: Error) => assert.match(error.message, /power/) ?? false,
          );
          assert.equal(await openAll(server.registry, server.seal), sealedValues, step);
        }
        const begun = house.files.includes('master.key.next');
        {
          await using server = await house.start();
          assert.equal(await openAll(server.registry, server.seal), sealedValues, step);
          if (server.masterKey.interrupted) {
            interrupted += 1;
            assert.ok(begun, step);
            await server.masterKey.rotate();
          }
          assert.equal(server.masterKey.interrupted, false);
          assert.equal(await openAll(server.registry, server.seal), sealedValues, step);
        }
        // Before its first write nothing has been begun.
        if (at === 1 && when === 'before') continue;
        assert.deepEqual(house.files, ['master.key'], step);
        writeFileSync(house.at('master.key'), old);
        await assert.rejects(house.start(), refusal(/not the one under which/), step);
      }
    }
    // Begun, each of the batches, and the end: the cut met them all.
    assert.ok(interrupted >= 6, String(interrupted));
  });

  test('does not start with one of its two keys missing, and says which', async () => {
    using house = new House();
    await house.populate();
    {
      await using server = await house.start({}, { at: 1, when: 'after' });
      await assert.rejects(server.masterKey.rotate(), /power/);
    }
    const [present, next] = ['master.key', 'master.key.next'].map((name) => readFileSync(house.at(name)));
    rmSync(house.at('master.key.next'));
    await assert.rejects(house.start(), refusal(/being rotated, and the next one is not here.*master\.key\.next/));
    writeFileSync(house.at('master.key'), next!);
    await assert.rejects(house.start(), refusal(/being rotated, and the one before it is not here/));
    // Which file is which does not matter, where both are there.
    writeFileSync(house.at('master.key.next'), present!, { mode: 0o600 });
    await using server = await house.start();
    assert.equal(await openAll(server.registry, server.seal), sealedValues);
  });

  test('leads from each kind of place to each other', async () => {
    using house = new House();
    mkdirSync(house.at('credentials'));
    for (const [name, content] of Object.entries({ phrase: passphrase, key: anotherKey, other: `${passphrase}!` })) {
      writeFileSync(house.at(`credentials/${name}`), content, { mode: 0o600 });
    }
    const env = { CREDENTIALS_DIRECTORY: house.at('credentials'), ONE: oneKey, PHRASE: passphrase };
    const file = house.at('chosen.key');
    writeFileSync(file, Buffer.alloc(32, 3).toString('base64'), { mode: 0o600 });
    const route: [setting: string, value: string][] = [
      ['master_key_variable', 'ONE'],
      ['passphrase_credential', 'other'],
      ['master_key_credential', 'key'],
      ['master_key_file', file],
    ];
    await house.populate({ env });
    let present: ConfigOptions = {};
    for (const [setting, value] of route) {
      const next = { [`custody.next_${setting}`]: value };
      {
        await using server = await house.start({ options: { ...present, ...next }, env });
        const { values, source } = await server.masterKey.rotate();
        assert.deepEqual([values, source.setting], [sealedValues, `custody.next_${setting}`]);
        await assert.rejects(server.masterKey.rotate(), { code: 'conflict', message: /is the present one/ });
      }
      // The settings as they were do for a start, and so do those that the operator is told to make of them.
      for (const options of [{ ...present, ...next }, { [`custody.${setting}`]: value }]) {
        await using server = await house.start({ options, env });
        assert.equal(await openAll(server.registry, server.seal), sealedValues, setting);
      }
      await assert.rejects(house.start({ options: present, env }), { code: 'custody_unavailable' }, setting);
      present = { [`custody.${setting}`]: value };
    }
    // The same passphrase would be another master key by its salt, and as easy to guess for whoever knows it.
    {
      using other = new House();
      const options = { 'custody.passphrase_variable': 'PHRASE', 'custody.next_passphrase_variable': 'SAME' };
      await using same = await other.start({ options, env: { ...env, SAME: `${passphrase}\n` } });
      await assert.rejects(same.masterKey.rotate(), { code: 'conflict', message: /is the present one/ });
    }
    // A file that the operator chose is the server's to replace, like the one that it made itself.
    await using server = await house.start({ options: present, env });
    assert.equal((await server.masterKey.rotate()).source.name, file);
    assert.notEqual(readFileSync(file, 'latin1'), Buffer.alloc(32, 3).toString('base64'));
  });

  test('in a file that is a link replaces what the link leads to', async () => {
    using house = new House();
    await house.populate();
    mkdirSync(house.at('elsewhere'));
    const real = house.at('elsewhere/real.key');
    renameSync(house.at('master.key'), real);
    symlinkSync(real, house.at('master.key'));
    const old = readFileSync(real);
    {
      await using server = await house.start();
      await server.masterKey.rotate();
    }
    assert.deepEqual(readdirSync(house.at('elsewhere')), ['real.key']);
    assert.ok(lstatSync(house.at('master.key')).isSymbolicLink());
    assert.notDeepEqual(readFileSync(real), old);
    await using server = await house.start();
    assert.equal(await openAll(server.registry, server.seal), sealedValues);
  });

  test('needs to be told of a next key where the present one is in no file', async () => {
    using house = new House();
    const settings = { options: { 'custody.master_key_variable': 'ONE' }, env: { ONE: oneKey } };
    await house.populate(settings);
    await using server = await house.start(settings);
    await assert.rejects(server.masterKey.rotate(), { code: 'conflict', hint: /custody\.next_/ });
    assert.equal(await openAll(server.registry, server.seal), sealedValues);
  });

  test('that cannot write the next key beside the present one changes nothing', async () => {
    using house = new House();
    await house.populate();
    mkdirSync(house.at('master.key.next'));
    await using server = await house.start();
    await assert.rejects(server.masterKey.rotate(), { code: 'conflict', hint: /custody\.next_master_key_file/ });
    assert.equal(server.masterKey.interrupted, false);
    assert.equal(await openAll(server.registry, server.seal), sealedValues);
  });

  test('that cannot be recorded leaves the server as it was', async () => {
    using house = new House();
    await house.populate();
    await using server = await house.start();
    const { write } = server.registry;
    server.registry.write = () => Promise.reject(new Error('the disk is full'));
    await assert.rejects(server.masterKey.rotate(), /full/);
    server.registry.write = write;
    const sealed_content = server.seal.seal(Buffer.from('late'), 'late');
    await server.registry.write('setAccountFile', { account_id, entry: 'late', sealed_content });
    await server.registry.write('removeAccountFile', { account_id, entry: 'late' });
    assert.equal((await server.masterKey.rotate()).values, sealedValues);
  });

  test('is refused while another is under way', async () => {
    using house = new House();
    await house.populate();
    {
      await using server = await house.start();
      const [first, second] = await Promise.allSettled([server.masterKey.rotate(), server.masterKey.rotate()]);
      assert.equal(first.status, 'fulfilled');
      assert.equal(second.status === 'rejected' && second.reason.code, 'conflict');
    }
    // Nor has it put a key of its own beside the one that counts.
    await using server = await house.start();
    assert.equal(await openAll(server.registry, server.seal), sealedValues);
  });

  test('is not begun where something is damaged, which it names', async () => {
    using house = new House();
    await house.populate();
    await using server = await house.start();
    const { read } = server.registry;
    const whole = (await accountFilesOf(read, account_id))[5]!;
    const sealed_content = Buffer.from(whole.sealed_content);
    sealed_content[20]! ^= 1;
    await server.registry.write('setAccountFile', { ...whole, sealed_content });
    await assert.rejects(server.masterKey.rotate(), refusal(/account-file:a-account:entry-005 does not open/));
    assert.deepEqual([house.files, server.masterKey.interrupted], [['master.key'], false]);
    await server.registry.write('removeAccountFile', { account_id, entry: whole.entry });
    assert.equal((await server.masterKey.rotate()).values, sealedValues - 1);
  });

  test('that the server ends under goes on at the next start', async () => {
    using house = new House();
    await house.populate();
    {
      await using server = await house.start();
      const rotation = assert.rejects(server.masterKey.rotate(), { code: 'unavailable' });
      await server.masterKey[Symbol.asyncDispose]();
      await rotation;
    }
    await using server = await house.start();
    await server.masterKey.rotate();
    assert.equal(await openAll(server.registry, server.seal), sealedValues);
  });
});

describe('what changes while the master key is rotated', () => {
  test('is not lost where it was sealed before and recorded afterwards, nor if the power fails then', async () => {
    using house = new House();
    await house.populate();
    const context = accountFileContext(account_id, 'late');
    const lateOne = async ({ registry: { read } }: Running) =>
      (await accountFilesOf(read, account_id)).find(({ entry }) => entry === 'late')!.sealed_content;
    {
      await using server = await house.start();
      const { write } = server.registry;
      const sealed_content = server.seal.seal(Buffer.from('late'), context);
      let ends = 0;
      server.registry.write = async (name, args) => {
        if (name !== 'endMasterKeyRotation') return write.call(server.registry, name, args) as never;
        ends += 1;
        // Everything has been gone through by now.
        if (ends === 1)
          await write.call(server.registry, 'setAccountFile', { account_id, entry: 'late', sealed_content });
        const result = await write.call(server.registry, name, args);
        assert.deepEqual(result, { left: 1 });
        throw new Error('the power has failed');
      };
      await assert.rejects(server.masterKey.rotate(), /power/);
      server.registry.write = write;
    }
    await using server = await house.start();
    assert.ok(server.masterKey.interrupted);
    assert.equal((await server.masterKey.rotate()).values, sealedValues + 1);
    assert.equal(
      server.seal
        .open(await lateOne(server), context)
        .reveal()
        .toString(),
      'late',
    );
    await server.masterKey.rotate();
    assert.equal(
      server.seal
        .open(await lateOne(server), context)
        .reveal()
        .toString(),
      'late',
    );
  });

  test('is refused when it comes later still, since no key would open it', async () => {
    using house = new House();
    await house.populate();
    await using server = await house.start();
    const { registry, seal, masterKey } = server;
    const key = (await keyById(registry.read, 'a-key'))!;
    const vaults = (await keyById(registry.read, 'c-key'))!;
    const certificate = (await gatewayCertificateOf(registry.read, account_id))!;
    const [upstream, other] = await upstreamsOf(registry.read, account_id);
    const sealed = (context: string) => seal.seal(Buffer.from('late'), context);
    const file = { account_id, entry: 'late', sealed_content: sealed('late') };
    const lateKey = { ...key, id: 'late', public_key_sha256: 'late', remembered: sealed('late') };
    await masterKey.rotate();

    const late = { code: 'conflict', message: /master key has been replaced/, hint: 'Do it again.' };
    await assert.rejects(registry.write('setAccountFile', file), late);
    await assert.rejects(registry.write('recordKey', { key: lateKey }), late);
    await assert.rejects(registry.write('recordGatewayCertificate', { ...certificate, id: 'late' }), late);
    await assert.rejects(registry.write('setUpstream', upstream!), late);
    const to = { custodian: 'software', remembered: lateKey.remembered, exportable: 1 } as const;
    const moving = { key_id: 'c-key', from: vaults, to, event: 'moved' } as const;
    await assert.rejects(registry.write('placeKey', moving), late);

    // What is sealed now is taken, and so is what is not sealed at all.
    await registry.write('setAccountFile', { ...file, sealed_content: sealed('late') });
    await registry.write('setUpstream', other!);
    await registry.write('recordKey', { key: { ...vaults, id: 'other', public_key_sha256: 'other' } });
    await registry.write('placeKey', { ...moving, to: { ...to, remembered: sealed('late') } });
  });

  test('is neither overwritten nor brought back by it', async () => {
    using house = new House();
    await house.populate();
    await using server = await house.start();
    const { registry, seal } = server;
    const does = registry.write.bind(registry);
    const anew = (context: string) => seal.seal(Buffer.from('changed'), context);
    const context = accountFileContext(account_id, entryOf(1));
    const [upstream] = await upstreamsOf(registry.read, account_id);
    const certificate = (await gatewayCertificateOf(registry.read, account_id))!;
    const key = (await keyById(registry.read, 'a-key'))!;
    /** What happens to each kind of thing when it has been read and not yet been written. */
    const meanwhile: Record<string, () => Promise<unknown>> = {
      keys: async () => {
        await does('forgetKey', { key_id: 'b-key' });
        const to = { custodian: 'vault', remembered: Buffer.from('transit/keys/a-key'), exportable: 1 } as const;
        await does('placeKey', { key_id: 'a-key', from: key, to, event: 'moved' });
      },
      gateway_certificates: () => {
        const sealed_key = anew(gatewayKeyContext('renewed'));
        return does('recordGatewayCertificate', { ...certificate, id: 'renewed', sealed_key });
      },
      account_files: async () => {
        await does('setAccountFile', { account_id, entry: entryOf(1), sealed_content: anew(context) });
        await does('removeAccountFile', { account_id, entry: entryOf(2) });
      },
      upstreams: () => does('setUpstream', { ...upstream!, sealed_key: anew(upstreamKeyContext(upstream!)) }),
    };
    const happens = async (name: string, args: unknown): Promise<void> => {
      if (name !== 'replaceSealedValues') return;
      const table = (args as WriteArguments<'replaceSealedValues'>).changes[0]!.place.in;
      const event = meanwhile[table];
      delete meanwhile[table];
      await event?.();
    };
    registry.write = (name, args) => happens(name, args).then(() => does(name, args));
    const { values } = await server.masterKey.rotate();
    assert.deepEqual(meanwhile, {});
    // Two keys and a file have gone from what is sealed.
    assert.equal(values, sealedValues - 3);
    const opened = (sealed: Uint8Array, of: string) => seal.open(sealed, of).reveal().toString();
    const { read } = registry;
    assert.equal((await keyById(read, 'b-key'))!.remembered, null);
    assert.equal(Buffer.from((await keyById(read, 'a-key'))!.remembered!).toString(), 'transit/keys/a-key');
    const renewed = (await gatewayCertificateOf(read, account_id))!;
    assert.equal(opened(renewed.sealed_key, gatewayKeyContext('renewed')), 'changed');
    const files = await accountFilesOf(read, account_id);
    assert.equal(files.length, manyFiles - 1);
    assert.equal(opened(files.find(({ entry }) => entry === entryOf(1))!.sealed_content, context), 'changed');
    const [back] = await upstreamsOf(read, account_id);
    assert.equal(opened(back!.sealed_key!, upstreamKeyContext(back!)), 'changed');
  });
});
