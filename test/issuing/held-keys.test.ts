// Our keys and where they lie: moved, given out, erased, checked, and what is left when the power fails in between.

import assert from 'node:assert/strict';
import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';

import { type Custodian, CustodyProblem } from '../../src/custody/custodian.ts';
import { createSeal } from '../../src/custody/seal.ts';
import { createSoftwareCustodian } from '../../src/custody/software.ts';
import { HeldKeys } from '../../src/issuing/held-keys.ts';
import { checkCustody } from '../../src/issuing/key-check.ts';
import { placeOf } from '../../src/issuing/key-record.ts';
import { Problem } from '../../src/problem.ts';
import { keyEvents, type KeyPlace, requireKey } from '../../src/registry/keys.ts';
import type { Account, KeyRow } from '../../src/registry/tables.ts';
import type { Registry, WriteArguments, WriteName, WriteResult } from '../../src/registry/writer.ts';
import { Secret } from '../../src/secret.ts';
import { OpenBao, openbao } from '../support/openbao.ts';
import { newAccount, openIssuing, type Issuing } from '../support/issuing.ts';
import { vaultOf } from '../support/vault-custodian.ts';

const text = Buffer.from('a text to be signed');

async function signs(keys: HeldKeys, key: KeyRow): Promise<void> {
  const signature = await keys.sign(key, 'ecdsa-sha256', text);
  const publicKey = createPublicKey({ key: Buffer.from(key.public_key), format: 'der', type: 'spki' });
  assert.ok(verify('sha256', text, publicKey, signature));
}

/** What never answers, since the power fails while it is asked. */
const powerCut = () => new Promise<never>(() => {});

describe('our keys, in the registry and in a vault', { skip: openbao() }, () => {
  let bao: OpenBao;
  let issuing: Issuing;
  let account: Account;
  let software: Custodian;
  let vault: Custodian;
  let accounts = 0;

  before(async () => {
    bao = await OpenBao.dev();
    await bao.transit();
    issuing = await openIssuing();
    software = createSoftwareCustodian(createSeal(new Secret(randomBytes(32))));
    vault = vaultOf(bao);
  });
  beforeEach(async () => {
    accounts += 1;
    account = await newAccount(issuing, { name: `acme-${accounts}` });
  });
  after(async () => {
    await vault[Symbol.asyncDispose]();
    await issuing[Symbol.asyncDispose]();
    await bao[Symbol.asyncDispose]();
  });

  /** As each start of the server opens them, with whatever stands between it and its custodians or registry. */
  function open({
    newKeysIn = 'software',
    registry = issuing.registry,
    ...others
  }: { newKeysIn?: string; registry?: Registry; vault?: Partial<Custodian>; software?: Partial<Custodian> } = {}) {
    const custodians = [
      { ...software, ...others.software },
      { ...vault, ...others.vault },
    ];
    return new HeldKeys({ registry, custodians: new Map(custodians.map((each) => [each.name, each])), newKeysIn });
  }

  const newKey = (keys: HeldKeys, exportable = true) =>
    keys.create({ account, purpose: 'gateway-ca', keyType: 'p256', exportable });
  const now = (key: KeyRow) => requireKey(issuing.registry.read, key.id);
  const inVault = async ({ id }: KeyRow) => (await bao.keys()).some((name) => name.endsWith(id));

  /** Moves a key out of the vault until the power fails, which it does when the old copy is to be destroyed. */
  async function moveCutOff(key: KeyRow): Promise<void> {
    const destroying = Promise.withResolvers<void>();
    const dying = open({
      vault: {
        destroy() {
          destroying.resolve();
          return powerCut();
        },
      },
    });
    void dying.move(key, 'software', { exportable: true });
    await destroying.promise;
  }

  /** A registry of which one write fails: before it is made, or after. */
  function failing(write: WriteName, made: 'before it is made' | 'after it is made'): Registry {
    return {
      ...issuing.registry,
      read: issuing.registry.read,
      async write<N extends WriteName>(name: N, args: WriteArguments<N>): Promise<WriteResult<N>> {
        if (name !== write) return await issuing.registry.write(name, args);
        if (made === 'after it is made') await issuing.registry.write(name, args);
        throw new Problem('unavailable', 'The registry takes no more writes: the server is ending.');
      },
    };
  }

  test('a row that was read before the key was moved signs all the same, wherever it lies by then', async () => {
    const keys = open();
    const inSoftware = await newKey(keys);
    const there = await keys.move(inSoftware, 'vault', { exportable: true });
    await signs(keys, inSoftware);
    const back = await keys.move(there, 'software', { exportable: true });
    await signs(keys, there);
    await keys.check(there);
    await keys.move(back, 'vault', { exportable: false });
    await signs(keys, there);
  });

  test('a key that has really gone is said to be gone', async () => {
    const keys = open({ newKeysIn: 'vault' });
    const key = await newKey(keys);
    await keys.destroy(key);
    await assert.rejects(keys.sign(key, 'ecdsa-sha256', text), { fault: 'no_such_key' });
    await assert.rejects(keys.sign(await now(key), 'ecdsa-sha256', text), { fault: 'no_such_key' });
  });

  test('the power fails once the vault has the key: it is still here, and a second move is done', async () => {
    const key = await newKey(open());
    const imported = Promise.withResolvers<void>();
    const dying = open({
      vault: {
        async import(request, privateKey) {
          await vault.import(request, privateKey);
          imported.resolve();
          return powerCut();
        },
      },
    });
    void dying.move(key, 'vault', { exportable: false });
    await imported.promise;
    assert.ok(await inVault(key));
    assert.equal((await now(key)).custodian, 'software');
    await signs(open(), await now(key));
    const moved = await open().move(key, 'vault', { exportable: false });
    assert.deepEqual([moved.custodian, moved.exportable], ['vault', 0]);
    await signs(open(), moved);
  });

  test('the power fails before the old copy is destroyed: the key is in its new place, and can be moved again', async () => {
    const key = await newKey(open({ newKeysIn: 'vault' }));
    await moveCutOff(key);
    assert.deepEqual([(await now(key)).custodian, await inVault(key)], ['software', true]);
    await signs(open(), await now(key));
    // What lies in the vault is the key again, and no copy to be destroyed.
    await open().move(key, 'vault', { exportable: true });
    assert.deepEqual(await open().destroyCondemned(), []);
    await signs(open(), await now(key));
    await open().move(key, 'software', { exportable: true });
    assert.equal(await inVault(key), false);
    await signs(open(), await now(key));
  });

  test('the power fails before the old copy is destroyed: the next start destroys it', async () => {
    const key = await newKey(open({ newKeysIn: 'vault' }));
    await moveCutOff(key);
    assert.deepEqual(await open().destroyCondemned(), []);
    assert.equal(await inVault(key), false);
    await signs(open(), await now(key));
  });

  test('what cannot be recorded is taken back, and what was recorded is not', async () => {
    const key = await newKey(open());
    const before = open({ registry: failing('placeKey', 'before it is made') });
    await assert.rejects(before.move(key, 'vault', { exportable: false }), { code: 'unavailable' });
    assert.deepEqual([(await now(key)).custodian, await inVault(key)], ['software', false]);
    const afterwards = open({ registry: failing('placeKey', 'after it is made') });
    await assert.rejects(afterwards.move(key, 'vault', { exportable: false }), { code: 'unavailable' });
    assert.deepEqual([(await now(key)).custodian, await inVault(key)], ['vault', true]);
    await signs(open(), await now(key));
  });

  test('an account that is deleted while its key is moved leaves no copy behind', async () => {
    const key = await newKey(open());
    const keys = open({
      vault: {
        async import(request, privateKey) {
          const made = await vault.import(request, privateKey);
          await issuing.registry.write('removeAccount', { account_id: account.id });
          await keys.destroyCondemned();
          return made;
        },
      },
    });
    await assert.rejects(keys.move(key, 'vault', { exportable: false }), { code: 'conflict' });
    assert.equal(await inVault(key), false);
    assert.equal((await now(key)).remembered, null);
  });

  test('a custodian that signs wrongly with what it was given does not get the key', async () => {
    const key = await newKey(open());
    const keys = open({ vault: { sign: async () => randomBytes(70) } });
    await assert.rejects(keys.move(key, 'vault', { exportable: false }), { fault: 'corrupted' });
    assert.deepEqual([(await now(key)).custodian, await inVault(key)], ['software', false]);
    await signs(keys, key);
  });

  test('an old copy that cannot be destroyed is told of, and the key is in its new place', async () => {
    const key = await newKey(open({ newKeysIn: 'vault' }));
    const keys = open({
      vault: { destroy: async () => Promise.reject(new CustodyProblem('unavailable', 'The vault is away.')) },
    });
    await assert.rejects(keys.move(key, 'software', { exportable: false }), {
      code: 'custody_unavailable',
      message: /^Key .* has been moved to the custodian software, but its copy in the custodian vault could not be/,
    });
    assert.equal((await now(key)).custodian, 'software');
    await signs(open(), await now(key));
    const [left] = await keys.destroyCondemned();
    assert.deepEqual([left?.key.id, left?.key.custodian, await inVault(key)], [key.id, 'vault', true]);
    assert.deepEqual(await open().destroyCondemned(), []);
    assert.equal(await inVault(key), false);
  });

  test('a key is not given out where that cannot be recorded', async () => {
    const keys = open({ registry: failing('recordKeyExport', 'before it is made') });
    let given: Secret | undefined;
    const watched = open({
      registry: failing('recordKeyExport', 'before it is made'),
      software: {
        async export(key) {
          given = await software.export(key);
          return given;
        },
      },
    });
    const key = await newKey(keys);
    await assert.rejects(watched.export(key), { code: 'unavailable' });
    assert.ok(
      given!.reveal().every((octet) => octet === 0),
      'wiped',
    );
    assert.deepEqual(
      (await keyEvents(issuing.registry.read, key.id)).map(({ event }) => event),
      ['created'],
    );
  });

  test('what was made not to be given out is not, though its row be changed to say so', async () => {
    const keys = open();
    const key = await newKey(keys, false);
    await assert.rejects(keys.export(key), { code: 'key_not_exportable' });
    await assert.rejects(keys.move(key, 'vault', { exportable: false }), { code: 'key_not_exportable' });
    await assert.rejects(keys.export({ ...key, exportable: 1 }), CustodyProblem);
    assert.deepEqual(
      (await keyEvents(issuing.registry.read, key.id)).map(({ event }) => event),
      ['created'],
    );
  });

  test('no key is erased that the server needs, though it was exported', async () => {
    const keys = open();
    const key = await newKey(keys);
    (await keys.export(key)).wipe();
    await assert.rejects(keys.erase(key), { code: 'conflict', message: /is not that of a standby gateway CA/ });
    await signs(keys, await now(key));
  });

  describe('a check of all', () => {
    test('asks the custodians beside each other: one that hangs holds up no other', async () => {
      const released = Promise.withResolvers<void>();
      const checked: string[] = [];
      const keys = open({
        vault: { check: () => released.promise },
        software: {
          async sign(key, algorithm, data) {
            const signature = await software.sign(key, algorithm, data);
            checked.push(key.id);
            // Only now the vault answers: had its keys come first, this would never be.
            if (checked.length === 2) released.resolve();
            return signature;
          },
        },
      });
      const rows = [
        await newKey(open({ newKeysIn: 'vault' })),
        await newKey(open()),
        await newKey(open({ newKeysIn: 'vault' })),
        await newKey(open()),
      ];
      const found = await checkCustody(keys, rows);
      assert.deepEqual(checked.sort(), [rows[1]!.id, rows[3]!.id].sort());
      assert.ok([...found.custodians, ...found.keys].every(({ problem }) => problem === null));
      assert.deepEqual(
        found.keys.map(({ key }) => key.id),
        rows.map(({ id }) => id),
      );
    });

    test('names each key that fails, and tries none whose custodian is away', async () => {
      let tried = 0;
      const keys = open({
        vault: {
          check: async () => Promise.reject(new CustodyProblem('sealed', 'The vault is sealed.')),
          publicKey: async (key) => {
            tried += 1;
            return vault.publicKey(key);
          },
        },
      });
      const [good, damaged, lost] = [await newKey(open()), await newKey(open()), await newKey(open())];
      const there = await newKey(open({ newKeysIn: 'vault' }));
      const remembered = Buffer.from(damaged.remembered!);
      remembered[remembered.length - 1]! ^= 1;
      const place = (key: KeyRow, to: KeyPlace) =>
        issuing.registry.write('placeKey', { key_id: key.id, from: placeOf(key), to, event: 'moved' });
      await place(damaged, { custodian: 'software', remembered, exportable: 1 });
      await place(lost, { custodian: 'cellar', remembered, exportable: 1 });
      const found = await checkCustody(keys, [good, await now(damaged), there, await now(lost)]);
      assert.deepEqual(
        found.keys.map(({ problem }) => problem?.fault ?? null),
        [null, 'corrupted', 'sealed', 'unavailable'],
      );
      assert.deepEqual(
        found.custodians.map(({ name, problem }) => [name, problem?.fault ?? null]),
        [
          ['software', null],
          ['vault', 'sealed'],
        ],
      );
      assert.equal(tried, 0);
    });
  });
});
