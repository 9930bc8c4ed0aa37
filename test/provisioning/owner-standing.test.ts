// What a node tells of accounts with owners, and its file of them, where one account or one moment goes wrong.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, rename } from 'node:fs/promises';
import { test } from 'node:test';
import { openLog } from '../../src/log.ts';
import { isFault, ownerStanding, watchOwnerTrust } from '../../src/provisioning/owner-standing.ts';
import { firstSetNeeded } from '../../src/provisioning/owner-trust.ts';
import { TrustFile } from '../../src/provisioning/trust-file.ts';
import { accountById } from '../../src/registry/accounts.ts';
import { Changes } from '../../src/registry/changes.ts';
import { temporaryDirectory } from '../support/process.ts';
import { someAccount, sqlite } from '../support/registry.ts';

const spki = new Uint8Array(
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' }),
);
const log = openLog('silent');
const pin = (name: string, owner_key: Uint8Array = spki) => ({
  name,
  owner_key: Buffer.from(owner_key).toString('base64'),
  hosts: [],
  set: null,
  narrowings: [],
});

test('an account of which nothing can be told keeps nobody from hearing of the others', async () => {
  await using directory = await temporaryDirectory();
  using home = sqlite.home();
  const db = await home.database();
  const noKey = new Uint8Array([0]);
  const changes = new Changes();
  const told: string[] = [];
  changes.listen((change) => 'account_id' in change && told.push(change.account_id));
  const known = {
    registry: { read: db, changes },
    trustFile: await TrustFile.open(directory.path, null),
  } as Parameters<typeof watchOwnerTrust>[0];
  const accounts = [
    { ...someAccount('broken', 'production'), owner_key: noKey },
    { ...someAccount('unknown', 'production'), owner_key: spki },
    { ...someAccount('well', 'production'), owner_key: spki },
  ];
  await db.insertInto('accounts').values(accounts).execute();
  await known.trustFile.change('broken', () => pin('broken-name', noKey));
  await known.trustFile.change('well', () => pin('well-name'));
  const faults = await watchOwnerTrust(known, Date.now, log)();
  assert.deepEqual(
    new Map(faults.map(({ account, reason }) => [account, reason])),
    new Map([
      ['broken', 'What the registry has of the account, whose owner signs whom it trusts, cannot be read.'],
      [
        'unknown',
        'The account has an owner key in the registry that this node does not know, so nobody is admitted under it.',
      ],
    ]),
  );
  // Whoever remembers what they trust is to look again.
  assert.deepEqual(told.sort(), ['broken', 'unknown']);
});

test('a hundred thousand narrowings in rows are counted, not taken', async () => {
  await using directory = await temporaryDirectory();
  using home = sqlite.home();
  const db = await home.database();
  const known = { registry: { read: db }, trustFile: await TrustFile.open(directory.path, null) } as Parameters<
    typeof ownerStanding
  >[0];
  const account = { ...someAccount('flooded', 'production'), owner_key: spki };
  await db.insertInto('accounts').values(account).execute();
  await known.trustFile.change('flooded', () => pin('flooded-name'));
  const narrowing = { account_id: 'flooded', kind: 'distrust' as const, fleet_root_ca_id: null, set_number: 0, at: 1 };
  for (let batch = 0; batch < 100; batch += 1) {
    const rows = Array.from({ length: 1_000 }, (_, i) => ({
      ...narrowing,
      id: `${batch}-${i}`,
      public_key_sha256: 'ab'.repeat(32),
    }));
    await db.insertInto('narrowings').values(rows).execute();
  }
  const standing = await ownerStanding(known, (await accountById(db, 'flooded'))!);
  assert.ok(standing && isFault(standing));
  await known.trustFile.written();
  assert.deepEqual(known.trustFile.pins.get('flooded'), pin('flooded-name'));
  const many = Array.from({ length: 200_000 }, () => ({
    id: 'x',
    kind: 'distrust' as const,
    fleet_root_ca: null,
    public_key_sha256: 'ab'.repeat(32),
    set: 6,
    at: '2026-11-22T00:00:00.000Z',
  }));
  assert.equal(firstSetNeeded({ ...pin('x'), set: { number: 9, sha256: 'a' } }, many), 7);
});

test('a write that failed once fails nothing that comes when the disk is there again', async () => {
  await using directory = await temporaryDirectory();
  const [place, away] = [directory.file('data'), directory.file('away')];
  await mkdir(place);
  const file = await TrustFile.open(place, null);
  await file.change('owned', () => pin('owned'));
  await rename(place, away);
  await assert.rejects(
    file.change('owned', () => pin('renamed')),
    { code: 'unavailable' },
  );
  await rename(away, place);
  await file.change('another', () => null);
  assert.equal(file.failure, null);
});
