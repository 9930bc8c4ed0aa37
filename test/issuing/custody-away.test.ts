// An issuer whose custodian is known to be away: nothing is signed, and nothing is even recorded as about to be.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CustodyProblem, type Custodian, type Trouble, type Watched } from '../../src/custody/custodian.ts';
import { makeCa } from '../../src/issuing/new-ca.ts';
import { condemnedKeys, keysOf } from '../../src/registry/keys.ts';
import { deviceRequest, newAccount, newCa, openIssuing } from '../support/issuing.ts';

/** The custodian, what of it the test does itself, and what is known of it. */
function standIn(custodian: Custodian, own: Partial<Custodian & Watched>): Custodian & Partial<Watched> {
  return {
    name: custodian.name,
    create: (request) => custodian.create(request),
    import: (...taken) => custodian.import(...taken),
    publicKey: (key) => custodian.publicKey(key),
    sign: (...call) => custodian.sign(...call),
    export: (key) => custodian.export(key),
    destroy: (key) => custodian.destroy(key),
    check: () => custodian.check(),
    [Symbol.asyncDispose]: () => custodian[Symbol.asyncDispose](),
    ...own,
  };
}

test('while the custodian is known to be away no intention is recorded, and the custodian is asked nothing', async () => {
  let trouble: Trouble | null = null;
  let asked = 0;
  const watched = (custodian: Custodian) => {
    const sign: Custodian['sign'] = (...call) => {
      asked += 1;
      return custodian.sign(...call);
    };
    const own = standIn(custodian, { sign });
    return Object.defineProperty(own, 'trouble', { get: () => trouble });
  };
  await using issuing = await openIssuing(watched);
  const { issuer } = issuing;
  const account = await newAccount(issuing);
  const ca = await newCa(issuing, account);
  asked = 0;
  const steps: string[] = [];
  const recording = {
    intend: async () => steps.push('intend'),
    complete: async () => steps.push('complete'),
    abandon: async () => steps.push('abandon'),
  };

  const problem = new CustodyProblem('sealed', 'The vault is sealed.');
  trouble = { problem, since: 0 };
  const token = issuer.prepare(await deviceRequest(account, ca));
  await assert.rejects(issuer.issue(token, recording), (error) => error === problem);
  assert.throws(
    () => issuer.keys.ready(ca.key),
    (error) => error === problem,
  );
  assert.deepEqual([steps, asked], [[], 0]);

  trouble = null;
  issuer.keys.ready(ca.key);
  await issuer.issue(issuer.prepare(await deviceRequest(account, ca)), recording);
  assert.deepEqual([steps, asked], [['intend', 'complete'], 1]);
});

test('a CA whose key was made and could not sign leaves no key: it is destroyed, at the latest when custody is back', async () => {
  let away = false;
  const leaving = (custodian: Custodian) => {
    const unlessAway = async <T>(act: () => Promise<T>): Promise<T> => {
      if (away) throw new CustodyProblem('sealed', 'The vault is sealed.');
      return act();
    };
    return standIn(custodian, {
      async create(request) {
        const made = await custodian.create(request);
        away = true;
        return made;
      },
      sign: (...call) => unlessAway(() => custodian.sign(...call)),
      destroy: (key) => unlessAway(() => custodian.destroy(key)),
    });
  };
  await using issuing = await openIssuing(leaving);
  const { issuer, registry } = issuing;
  const account = await newAccount(issuing);
  await assert.rejects(makeCa(issuer, account, 'gateway_ca'), { fault: 'sealed' });
  const [key, ...others] = await keysOf(registry.read, account.id);
  assert.equal(others.length, 0);
  assert.throws(() => issuer.keys.ready(key!), { fault: 'no_such_key' });
  assert.equal((await issuer.keys.destroyCondemned()).length, 1);

  away = false;
  assert.deepEqual(await issuer.keys.destroyCondemned(), []);
  assert.deepEqual(await condemnedKeys(registry.read), []);
});
