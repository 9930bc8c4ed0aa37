// What a registry promises in a process that does not write: the same as where it is written, whatever lies between.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deserialize, serialize } from 'node:v8';
import { Problem } from '../../src/problem.ts';
import { accountById } from '../../src/registry/accounts.ts';
import { actAs, type Actor, writingFor } from '../../src/registry/acting.ts';
import type { Change } from '../../src/registry/changes.ts';
import { type ForwardedWrite, failureOf, openForwardingStore } from '../../src/registry/forwarding-store.ts';
import { serverValue } from '../../src/registry/server-values.ts';
import type { Tables } from '../../src/registry/tables.ts';
import type { Registry, WriteName, Writes } from '../../src/registry/writer.ts';
import { Secret } from '../../src/secret.ts';
import { rowsOf, someAccount, sqlite } from '../support/registry.ts';

const { created_at: _, ready_at: __, ...account } = someAccount('account');
const host = 'account.gateway.localhost';
const somebody: Actor = {
  kind: 'provisioning_key',
  id: 'key',
  name: 'a key',
  address: '192.0.2.1',
  request: 'request',
};

/** As the channel between two processes copies what it carries. */
const copied = <Value>(value: Value): Value => deserialize(serialize(value));

/** A registry that writes, and another that forwards to it, as the control process and a gateway process have them. */
async function open(home: { file: string; open(): Promise<Registry> }) {
  const writer = await home.open();
  const asked: ForwardedWrite[] = [];
  const forwarding = openForwardingStore<Tables, Writes>({
    file: home.file,
    instance: 'a-gateway-process',
    forward: async (write) => {
      asked.push(write);
      const { name, args, by, rehearsal } = copied(write);
      const run = rehearsal ? writer.rehearse : writer.write;
      return copied(
        await writingFor('a-gateway-process', () =>
          actAs(by, () => run.call(writer, name as WriteName, args as never)),
        ).then((value) => ({ value: value as unknown }), failureOf),
      );
    },
  });
  writer.changes.listen((change) => forwarding.hear([copied(change)]));
  return {
    writer,
    forwarding,
    asked,
    async [Symbol.asyncDispose]() {
      await forwarding[Symbol.asyncDispose]();
      await writer[Symbol.asyncDispose]();
    },
  };
}

describe('a forwarding registry', () => {
  test('reads what it has written, and has heard of it before it is answered', async () => {
    using home = sqlite.home();
    await using opened = await open(home);
    const { forwarding } = opened;
    const heard: Change[] = [];
    forwarding.changes.listen((change) => void heard.push(change));
    await forwarding.write('insertAccount', { account, host });
    await forwarding.write('readyAccount', { account_id: account.id });
    assert.ok(heard.some((change) => change.kind === 'account' && change.account_id === account.id));
    assert.equal((await accountById(forwarding.read, account.id))?.name, account.name);
    assert.equal(forwarding.counted.writes, 2);
  });

  test('tells every listener, also after one that throws, and waits for those that act', async () => {
    using home = sqlite.home();
    await using opened = await open(home);
    const acted = Promise.withResolvers<void>();
    const { forwarding } = opened;
    const heard: string[] = [];
    const stop = forwarding.changes.listen(() => acted.promise);
    const all = forwarding.hear([{ kind: 'account', account_id: 'one' }]).then(() => heard.push('acted'));
    heard.push('heard');
    acted.resolve();
    await all;
    assert.deepEqual(heard, ['heard', 'acted']);
    stop();
    forwarding.changes.listen(() => {
      throw new Error('cannot');
    });
    forwarding.changes.listen((change) => void heard.push(change.kind));
    const changes = [
      { kind: 'account', account_id: 'one' },
      { kind: 'trust', account_id: 'two' },
    ] as const;
    assert.throws(() => forwarding.hear(changes), AggregateError);
    assert.deepEqual(heard, ['heard', 'acted', 'account', 'trust']);
  });

  test('a Problem arrives whole, and an error of ours as the error it is', async () => {
    using home = sqlite.home();
    await using opened = await open(home);
    const { writer, forwarding } = opened;
    await writer.write('insertAccount', { account, host });
    const refused = async (registry: Registry) =>
      registry.write('insertAccount', { account: { ...account, id: 'other' }, host }).then(
        () => assert.fail('it was written'),
        (error: unknown) => error,
      );
    const [here, there] = [await refused(writer), await refused(forwarding)];
    assert.ok(here instanceof Problem && there instanceof Problem);
    for (const part of ['code', 'message', 'hint', 'members'] as const) assert.deepEqual(there[part], here[part]);
    await assert.rejects(
      forwarding.write('noSuchWrite' as never, {} as never),
      (error) => error instanceof Error && !(error instanceof Problem),
    );
  });

  test('who asks, for which process, and that it is only rehearsed, go with it', async () => {
    using home = sqlite.home();
    await using opened = await open(home);
    const { writer, forwarding, asked } = opened;
    const { accounts, certificates } = rowsOf('mine');
    await actAs(somebody, () => forwarding.rehearse('insertAccount', { account, host }));
    assert.deepEqual(asked[0]?.by, somebody);
    assert.equal(await accountById(writer.read, account.id), undefined);
    await writer.write('insertAccount', { account: accounts[0]!, host });
    const { state: ___, created_at: ____, sha256: _____, ...intended } = certificates[0]! as any;
    await forwarding.write('intendCertificate', {
      certificate: { ...intended, device_uuid: null, fleet_root_ca_id: null, provisioning_key_id: null, reply: null },
    });
    const row = await writer.read
      .selectFrom('certificates')
      .select('instance')
      .where('tbs_sha256', '=', intended.tbs_sha256)
      .executeTakeFirst();
    assert.equal(row?.instance, 'a-gateway-process');
  });

  test('what is asked for is as it was then, and no secret crosses', async () => {
    using home = sqlite.home();
    await using opened = await open(home);
    const { forwarding } = opened;
    const value = Buffer.from('as it was');
    const written = forwarding.write('rememberServerValue', { key: 'key', value });
    value.fill(0);
    await written;
    assert.equal(Buffer.from((await serverValue(forwarding.read, 'key'))!).toString(), 'as it was');
    const secret = { key: 'another', value: Secret.fromText('a secret') } as never;
    await assert.rejects(forwarding.write('rememberServerValue', secret), TypeError);
  });

  test('what was asked for is finished before it closes, and nothing is taken on after that', async () => {
    using home = sqlite.home();
    await using opened = await open(home);
    const { forwarding, writer } = opened;
    const written = forwarding.write('rememberServerValue', { key: 'key', value: Buffer.from('value') });
    await forwarding[Symbol.asyncDispose]();
    assert.ok(await serverValue(writer.read, 'key'));
    await written;
    await assert.rejects(
      forwarding.write('rememberServerValue', { key: 'late', value: Buffer.from('value') }),
      (error) => error instanceof Problem && error.code === 'unavailable',
    );
  });
});
