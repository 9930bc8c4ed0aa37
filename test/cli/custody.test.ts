import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Fleetroot } from '../support/fleetroot.ts';
import { OpenBao, openbao } from '../support/openbao.ts';
import { operatorCall } from '../support/operator-call.ts';
import { tell } from '../support/transcript.ts';
import { vaultAccess } from '../support/vault.ts';

test('an operator looks which keys there are, whose and where, and whether each of them signs', async () => {
  await using server = await Fleetroot.start();
  await tell(
    `
    $ fleetroot custody list
    ACCOUNT  USED BY  CUSTODIAN  TYPE  EXPORTABLE  STATE  CREATED  ID
    the server  audit log  software  p256  yes  held  …
    the server  operator CA  software  p256  yes  held  …

    $ fleetroot custody check
    2 of 2 key(s) sign, in software.
    `,
    { cwd: server.dir, data: server.dir },
  );
  await server.json('account', 'create', 'acme');
  await server.json('account', 'create', 'plant', '--kind', 'production', '--exportable', 'no');
  const [root] = (await server.json('custody', 'list')).filter((key: any) => key.purpose === 'fleet-root-ca');
  await tell(
    `
    $ fleetroot custody list
    ACCOUNT  USED BY  CUSTODIAN  TYPE  EXPORTABLE  STATE  CREATED  ID
    the server  audit log  software  p256  yes  held  …
    the server  operator CA  software  p256  yes  held  …
    acme  gateway CA (active)  software  p256  yes  held  …
    acme  gateway CA (standby)  software  p256  yes  held  …
    acme  Fleet Root CA generated (active)  software  p256  yes  held  …
    acme  provisioning CA  software  p256  yes  held  …
    plant  gateway CA (active)  software  p256  no  held  …
    plant  gateway CA (standby)  software  p256  no  held  …

    $ fleetroot custody list --account plant --custodian software | tail -n +2 | wc -l
    2

    $ fleetroot custody list --account nobody
    ! error: There is no key of an account "nobody".
    [1]

    $ fleetroot custody list --custodian cellar
    ! error: There is no custodian "cellar" here: there are software.
    [1]

    $ fleetroot custody show ${root.public_key_sha256}
    id  ${root.id}
    account  acme
    used by  Fleet Root CA generated (active)
    custodian  software
    key type  p256
    exportable  yes
    state  held
    public key SHA-256  ${root.public_key_sha256}
    created  …
    events  … created, in software

    $ fleetroot custody show nothing
    ! error: There is no key "nothing".
    ! hint: \`custody list\` shows the keys.
    [1]

    $ fleetroot custody check
    8 of 8 key(s) sign, in software.

    $ fleetroot custody check ${root.id}
    1 of 1 key(s) sign, in software.

    $ fleetroot custody move ${root.id} --to software --yes
    ! error: Key ${root.id} is in the custodian software already.
    [1]

    $ fleetroot custody move ${root.id} --to software
    ! error: this needs to be confirmed, and there is no terminal to ask
    ! hint: give --yes to go ahead
    [1]
    `,
    { cwd: server.dir, data: server.dir },
  );
  assert.deepEqual(root, {
    id: root.id,
    account: root.account,
    account_name: 'acme',
    purpose: 'fleet-root-ca',
    custodian: 'software',
    key_type: 'p256',
    exportable: true,
    state: 'held',
    public_key_sha256: root.public_key_sha256,
    created_at: root.created_at,
    used_by: { kind: 'fleet_root_ca', id: root.used_by.id, name: 'generated', state: 'active' },
  });

  // What a disk did to it: the key is named, and the exit code says that not all is well.
  spoil(server, root.id);
  await tell(
    `
    $ fleetroot custody check
    7 of 8 key(s) sign, in software.
    key ${root.id} of acme, Fleet Root CA generated (active), in software: corrupted: …
    ! error: not every custodian and key is well
    [1]

    $ fleetroot custody check ${root.id}
    0 of 1 key(s) sign, in software.
    key ${root.id} of acme, …
    ! error: not every custodian and key is well
    [1]
    `,
    { cwd: server.dir, data: server.dir },
  );
  const { status, json } = await operatorCall(server.dir, 'POST', '/custody/check', { body: {} });
  assert.deepEqual([status, json.ok], [200, false]);
  const { fault, reason, ...failing } = json.keys.find((key: any) => key.fault !== null);
  assert.deepEqual([failing, fault], [root, 'corrupted']);
  assert.match(reason, /does not open/);
  assert.deepEqual(json.custodians, [{ custodian: 'software', fault: null, reason: null }]);

  await server.json('account', 'delete', 'acme', '--yes');
  const gone = await server.json('custody', 'list', '--account', root.account);
  assert.equal(gone.length, 4);
  assert.deepEqual(
    gone.map((key: any) => [key.account_name, key.state, key.used_by]),
    gone.map(() => [null, 'destroyed', null]),
  );
  assert.equal((await server.command('custody', 'check')).code, 0);
});

describe('a vault beside the registry', { skip: openbao() }, () => {
  test('its keys are listed and checked with the others, and named one by one when it lets nobody in', async () => {
    await using bao = await OpenBao.dev();
    const access = await vaultAccess(bao);
    await using server = await Fleetroot.start({ options: access.options });
    await server.json('account', 'create', 'acme');
    const keys = await server.json('custody', 'list');
    const ofAcme = keys.filter((key: any) => key.account_name === 'acme');
    const moved = ofAcme.slice(0, 2).map(({ id }: { id: string }) => id);
    for (const id of moved) await server.json('custody', 'move', id, '--to', 'vault', '--yes');
    assert.deepEqual(
      (await server.json('custody', 'list', '--custodian', 'vault')).map(({ id }: { id: string }) => id),
      moved,
    );
    await tell(
      `
      $ fleetroot custody check
      6 of 6 key(s) sign, in software, vault.

      $ fleetroot custody show ${moved[0]} | tail -2
      events  … created, in software
      … moved, in vault
      `,
      { cwd: server.dir, data: server.dir },
    );
    await access.revoke();
    await tell(
      `
      $ fleetroot custody check
      4 of 6 key(s) sign, in software, vault.
      custodian vault: denied: …
      key ${moved[0]} of acme, …, in vault: denied: …
      key ${moved[1]} of acme, …, in vault: denied: …
      ! error: not every custodian and key is well
      [1]
      `,
      { cwd: server.dir, data: server.dir },
    );
  });
});

/** Changes an octet of what is remembered of a key. */
function spoil({ dir }: Fleetroot, id: string): void {
  const database = new DatabaseSync(join(dir, 'registry.db'), { timeout: 5_000 });
  try {
    const row = database.prepare('SELECT remembered FROM keys WHERE id = ?').get(id)!;
    const remembered = Buffer.from(row['remembered'] as Uint8Array);
    remembered[remembered.length - 1]! ^= 1;
    database.prepare('UPDATE keys SET remembered = ? WHERE id = ?').run(remembered, id);
  } finally {
    database.close();
  }
}
