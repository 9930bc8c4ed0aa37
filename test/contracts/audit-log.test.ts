// The audit log as it is kept, on every backend: numbers, filters, pages, and what a write leaves in it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { actAs, type Actor } from '../../src/registry/acting.ts';
import { auditVerdict } from '../../src/registry/audit-verdict.ts';
import { auditHead, auditLogId, chainedEntries, hasUnchained, listAuditEntries } from '../../src/registry/audit.ts';
import { accountById } from '../../src/registry/accounts.ts';
import type { Registry } from '../../src/registry/writer.ts';
import { backends, someAccount } from '../support/registry.ts';

const alice: Actor = { kind: 'operator', id: 'alice-id', name: 'alice', address: '192.0.2.1', request: 'a-request' };

async function open(registry: Registry, ...ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    await registry.write('insertAccount', { account: someAccount(id), host: `${id}.gateway.localhost` });
    await registry.write('readyAccount', { account_id: id });
  }
}

async function chainAll(registry: Registry): Promise<void> {
  while ((await registry.write('chainAuditEntries', { log: crypto.randomUUID(), limit: 7 })).chained > 0);
}

for (const { name, home: newHome } of backends) {
  describe(`the audit log on ${name}`, () => {
    test('a write and its entry are one: what fails leaves none, what changes nothing leaves none', async () => {
      using home = newHome();
      await using registry = await home.open();
      await open(registry, 'acme');
      const set = (admission: 'approval') => registry.write('setPolicy', { account_id: 'acme', admission });
      await actAs(alice, () => set('approval'));
      await set('approval');
      await assert.rejects(registry.write('removeHost', { account_id: 'acme', host: 'none.example' }));
      await assert.rejects(registry.write('suspendDevice', { account_id: 'acme', device: 'none' }));
      const { entries } = await listAuditEntries(registry.read, { account_id: 'acme' }, { limit: 10 });
      assert.deepEqual(
        entries.map(({ action }) => action),
        ['account.set', 'account.create'],
      );
      const [changed] = entries;
      assert.deepEqual(JSON.parse(changed!.body), {
        at: new Date(changed!.at).toISOString(),
        action: 'account.set',
        account: 'acme',
        by: alice,
        object: { kind: 'account', id: 'acme', name: 'acme-name' },
        before: { admission: 'automatic' },
        after: { admission: 'approval' },
        result: 'done',
      });
    });

    test('entries are numbered from 1 on without a gap, in order, whoever writes meanwhile, and stay as they are', async () => {
      using home = newHome();
      let log: string | null;
      let first: string;
      {
        await using registry = await home.open();
        await open(registry, 'acme');
        const writing = Array.from({ length: 40 }, (_, index) =>
          registry.write('setPolicy', { account_id: 'acme', namespace: `n${index}` }),
        );
        await Promise.all([...writing, chainAll(registry), chainAll(registry)]);
        await chainAll(registry);
        assert.equal(await hasUnchained(registry.read), false);
        log = await auditLogId(registry.read);
        first = (await chainedEntries(registry.read, 0, 1))[0]!.hash;
      }
      await using registry = await home.open();
      await registry.write('setPolicy', { account_id: 'acme', namespace: 'later' });
      assert.equal(await hasUnchained(registry.read), true);
      await chainAll(registry);
      const head = await auditHead(registry.read);
      assert.equal(head?.number, 42);
      assert.equal(await auditLogId(registry.read), log);
      const numbers: number[] = [];
      for (let at = 0; at < 42; at = numbers.at(-1)!) {
        numbers.push(...(await chainedEntries(registry.read, at, 10)).map(({ number }) => number));
      }
      assert.deepEqual(
        numbers,
        Array.from({ length: 42 }, (_, index) => index + 1),
      );
      assert.equal((await chainedEntries(registry.read, 0, 1))[0]!.hash, first);
      const verdict = await auditVerdict(registry.read);
      assert.deepEqual([verdict.misfit, verdict.intact_to, verdict.confirmed_to], [null, 42, 0]);
    });

    test('the log of an account outlives it, and holds nothing of another', async () => {
      using home = newHome();
      await using registry = await home.open();
      await open(registry, 'acme', 'other');
      await registry.write('removeAccount', { account_id: 'acme' });
      assert.equal(await accountById(registry.read, 'acme'), undefined);
      const of = async (account_id: string) =>
        (await listAuditEntries(registry.read, { account_id }, { limit: 10 })).entries.map(({ action }) => action);
      assert.deepEqual(await of('acme'), ['account.delete', 'account.create']);
      assert.deepEqual(await of('other'), ['account.create']);
    });

    test('a role that an identity provider tells, or that ends with its operator, is in the log of its account', async () => {
      using home = newHome();
      await using registry = await home.open();
      await open(registry, 'acme', 'other');
      const arrive = (...roles: { account: string; role: 'owner' | 'auditor' }[]) =>
        registry.write('recordArrival', { issuer: 'i', subject: 's', names: ['bob'], administrator: false, roles });
      const bob = await arrive({ account: 'acme', role: 'owner' });
      await arrive({ account: 'acme', role: 'auditor' }, { account: 'other', role: 'owner' });
      await arrive({ account: 'other', role: 'owner' });
      await registry.write('deleteOperator', { id: bob!.id });
      const of = async (account_id: string) =>
        (await listAuditEntries(registry.read, { account_id, object: bob!.id }, { limit: 10 })).entries.map(
          ({ body }) => {
            const { action, before, after } = JSON.parse(body);
            return [action, before?.role ?? null, after.role];
          },
        );
      assert.deepEqual(await of('acme'), [
        ['operator.roles_told', 'auditor', null],
        ['operator.roles_told', 'owner', 'auditor'],
        ['operator.roles_told', null, 'owner'],
      ]);
      assert.deepEqual(await of('other'), [
        ['operator.withdraw', 'owner', null],
        ['operator.roles_told', null, 'owner'],
      ]);
    });

    test('a list is narrowed down by who, what, whereto and when, however few of many fit', async () => {
      using home = newHome();
      let now = 1_000_000;
      await using registry = await home.open({ clock: () => now });
      await open(registry, 'acme');
      await actAs(alice, () => registry.write('addHost', { account_id: 'acme', host: 'a.example' }));
      now += 1_000;
      const note = { action: 'some.thing', account_id: 'acme', object: { kind: 'thing', id: 'id', name: 'many' } };
      const attempts = Array.from({ length: 2_500 }, () => ({ ...note, result: 'forbidden' }));
      await registry.write('recordRefusedAttempts', { attempts });
      const found = async (filter: object) => {
        const actions: string[] = [];
        for (let before: number | null = Number.MAX_SAFE_INTEGER; before !== null;) {
          const page = await listAuditEntries(registry.read, filter, { limit: 1_000, before });
          actions.push(...page.entries.map(({ action }) => action));
          before = page.next;
        }
        return actions;
      };
      for (const filter of [
        { actor: 'alice' },
        { actor: 'alice-id' },
        { actor: 'operator' },
        { object: 'a.example' },
        { action: 'host.add' },
      ]) {
        assert.deepEqual(await found(filter), ['host.add'], JSON.stringify(filter));
        assert.deepEqual(await found({ ...filter, account_id: 'other' }), []);
      }
      assert.equal((await found({ result: 'forbidden', object: 'many' })).length, 2_500);
      assert.deepEqual(await found({ until: 1_001_000 }), ['host.add', 'account.create']);
      assert.equal((await found({ since: 1_001_000 })).length, 2_500);
    });
  });
}
