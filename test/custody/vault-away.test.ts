// A vault that is sealed, gone or silent: told quickly and by its right name, and no restart of ours is needed afterwards.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { Custodian, CustodyFault, CustodyProblem } from '../../src/custody/custodian.ts';
import { eventually } from '../support/eventually.ts';
import { openbao, OpenBao } from '../support/openbao.ts';
import { byToken, newKey, signSomething, vaultOf } from '../support/vault-custodian.ts';

const faulty = (fault: CustodyFault, message = /./) => ({ name: 'Problem', fault, message });

/** On a busy machine a short time-out may run out once although all is well. */
async function isWell(custodian: Custodian): Promise<void> {
  await eventually(() =>
    custodian.check().then(
      () => true,
      () => false,
    ),
  );
}

describe('a vault that goes away', { skip: openbao() }, () => {
  test('is sealed, and then unsealed: every call says so meanwhile, and then works', async () => {
    await using bao = await OpenBao.server();
    await bao.transit();
    await using custodian = vaultOf(bao);
    const key = await newKey(custodian);

    await bao.seal();
    const sealed = faulty('sealed', new RegExp(`The vault at ${bao.address} is sealed`));
    await assert.rejects(signSomething(custodian, key), sealed);
    await assert.rejects(custodian.check(), sealed);
    await assert.rejects(newKey(custodian), sealed);
    await assert.rejects(custodian.publicKey(key), sealed);
    await assert.rejects(custodian.destroy(key), sealed);

    await bao.unseal();
    await custodian.check();
    await signSomething(custodian, key);
  });

  test('was sealed when the server of ours came up', async () => {
    await using bao = await OpenBao.server();
    await bao.transit();
    await bao.seal();
    await using custodian = vaultOf(bao);
    await assert.rejects(custodian.check(), faulty('sealed'));
    await bao.unseal();
    await custodian.check();
  });

  test('has never been initialised', async () => {
    await using bao = await OpenBao.server({ initialise: false });
    await using custodian = vaultOf(bao, { login: byToken('s.of-another-life') });
    await assert.rejects(custodian.check(), faulty('sealed'));
  });

  test('dies and comes back', async () => {
    await using bao = await OpenBao.server();
    await bao.transit();
    await using custodian = vaultOf(bao);
    const key = await newKey(custodian);
    await Promise.all(Array.from({ length: 20 }, () => signSomething(custodian, key)));

    await bao.kill();
    await assert.rejects(signSomething(custodian, key), faulty('unavailable', /cannot be reached/));
    await bao.start();
    await assert.rejects(signSomething(custodian, key), faulty('sealed'));
    await bao.unseal();
    await Promise.all(Array.from({ length: 20 }, () => signSomething(custodian, key)));
  });

  test('hangs: calls under way and those that wait for a connection end with the time-out, and it is used again', async () => {
    await using bao = await OpenBao.dev();
    await bao.transit();
    const key = await newKey(vaultOf(bao));
    await using custodian = vaultOf(bao, { connections: 2, timeout: 1000 });
    await isWell(custodian);

    bao.hang();
    const calls = Array.from({ length: 20 }, () => signSomething(custodian, key));
    await Promise.all(calls.map((call) => assert.rejects(call, faulty('unavailable', /did not answer in time/))));
    await assert.rejects(custodian.check(), faulty('unavailable'));
    bao.resume();
    await using patient = vaultOf(bao, { connections: 2 });
    await patient.check();
    await Promise.all(Array.from({ length: 20 }, () => signSomething(patient, key)));
    await isWell(custodian);
  });

  test('hangs while we log in', async () => {
    await using bao = await OpenBao.dev();
    await bao.transit();
    await using custodian = vaultOf(bao, { timeout: 1000 });
    bao.hang();
    const calls = Array.from({ length: 5 }, () => custodian.check());
    await Promise.all(calls.map((call) => assert.rejects(call, faulty('unavailable'))));
    bao.resume();
    await using patient = vaultOf(bao);
    await patient.check();
    await isWell(custodian);
  });

  test('makes a bounded number of calls wait', async () => {
    await using bao = await OpenBao.dev();
    await bao.transit();
    const key = await newKey(vaultOf(bao));
    await using custodian = vaultOf(bao, { connections: 2, timeout: 3000 });
    await isWell(custodian);
    bao.hang();
    const calls = await Promise.allSettled(Array.from({ length: 4200 }, () => signSomething(custodian, key)));
    bao.resume();
    const turnedAway = calls.filter(({ status, reason }: { status: string; reason?: CustodyProblem }) => {
      return status === 'rejected' && reason?.message.includes('4096 calls wait for it') === true;
    });
    assert.equal(turnedAway.length, 4200 - 4096 - 2);
  });

  test('is not used any more once the custodian is closed', async () => {
    await using bao = await OpenBao.dev();
    await bao.transit();
    const custodian = vaultOf(bao);
    await custodian.check();
    await custodian[Symbol.asyncDispose]();
    await assert.rejects(custodian.check(), faulty('unavailable'));
  });
});
