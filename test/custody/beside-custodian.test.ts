// A custodian that has not let the control process in is not tried by the gateway processes, too: their wrong PINs would lock it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CustodyProblem } from '../../src/custody/custodian.ts';
import { createSeal } from '../../src/custody/seal.ts';
import { createSoftwareCustodian } from '../../src/custody/software.ts';
import { Secret } from '../../src/secret.ts';
import { besideControl } from '../../src/custody/beside-custodian.ts';

test('it is asked nothing until that one is in, and nothing again once that one is out', async () => {
  using masterKey = new Secret(Buffer.alloc(32, 7));
  const custodian = createSoftwareCustodian(createSeal(masterKey));
  let letIn = new Set<string>();
  await using beside = besideControl(custodian, () => letIn);
  const isAway = (error: unknown) => error instanceof CustodyProblem && error.fault === 'unavailable';
  const request = { id: 'a key', keyType: 'p256', exportable: false } as const;
  await assert.rejects(beside.check(), isAway);
  await assert.rejects(beside.create(request), isAway);

  letIn = new Set(['software']);
  await beside.check();
  const key = { ...request, ...(await beside.create(request)) };
  assert.ok((await beside.sign(key, 'ecdsa-sha256', Buffer.from('data'))).length > 0);

  letIn = new Set(['another']);
  await assert.rejects(beside.sign(key, 'ecdsa-sha256', Buffer.from('data')), isAway);
  await assert.rejects(beside.publicKey(key), isAway);
  await assert.rejects(beside.destroy(key), isAway);
});
