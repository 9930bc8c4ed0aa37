import assert from 'node:assert/strict';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { localConf } from '../../src/cli/local-conf.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { temporaryDirectory } from '../support/process.ts';
import { tell } from '../support/transcript.ts';

test('credentials.zip is written once, for its owner alone, with the lines that a Yocto build needs', async () => {
  await using server = await Fleetroot.start();
  await using desk = await temporaryDirectory();
  await server.json('account', 'create', 'acme');
  await tell(
    `
    $ fleetroot credentials create acme -o credentials.zip --description 'line 4' --expires 90d --max-uses 10 --network 10.0.0.0/8
    ${desk.path}/credentials.zip is written; it holds …autoprov_credentials.p12….
    Devices provision themselves at https://….gateway.localhost:${server.port} with the provisioning key … until ….
    For Yocto with meta-updater, in conf/local.conf:
    SOTA_PACKED_CREDENTIALS = "${desk.path}/credentials.zip"
    SOTA_CLIENT_PROV = "aktualizr-shared-prov"
    IMAGE_FSTYPES:remove = "ostreepush garagesign garagecheck"

    $ stat -c %a credentials.zip
    600

    $ fleetroot credentials create acme -o credentials.zip
    ! error: ${desk.path}/credentials.zip exists, and nothing is overwritten
    ! hint: name a new file with -o
    [1]

    $ fleetroot credentials create acme -o nowhere/credentials.zip
    ! error: cannot write ${desk.path}/nowhere/credentials.zip: no such file or directory
    [1]

    $ fleetroot provisioning-key list acme
    ID  STATE   USES  MAX USES  DEVICES  NOT AFTER  DESCRIPTION
    …   active  0     10        0        …          line 4
    `,
    { cwd: desk.path, data: server.dir },
  );
});

test('where the server refuses, no file is left', async () => {
  await using server = await Fleetroot.start();
  await using desk = await temporaryDirectory();
  await server.json('account', 'create', 'plant', '--kind', 'production');
  await tell(
    `
    $ fleetroot credentials create plant -o a.zip --max-uses 10
    ! error: A production account has no provisioning keys, so none of their options can be given.
    ! hint: Leave the options out for a credentials.zip with autoprov.url and server_ca.pem.
    [1]

    $ fleetroot credentials create nobody -o a.zip
    ! error: There is no account "nobody".
    ! hint: …
    [1]

    $ fleetroot credentials create plant -o a.zip --host gateway.example.com
    ! error: gateway.example.com is no host of this account…
    ! hint: Add it with \`account host add plant gateway.example.com\`.
    [1]
    `,
    { cwd: desk.path, data: server.dir },
  );
  assert.deepEqual(await readdir(desk.path), []);
});

test('a production account is told what its credentials.zip has and has not', async () => {
  await using server = await Fleetroot.start();
  await using desk = await temporaryDirectory();
  await server.json('account', 'create', 'plant', '--kind', 'production');
  await writeFile(desk.file('treehub.json'), '{}');
  await tell(
    `
    $ fleetroot account file set plant treehub.json treehub.json
    Every credentials.zip of plant made from now on carries treehub.json.

    $ fleetroot credentials create plant -o a.zip
    ${desk.path}/a.zip is written; it holds …server_ca.pem….
    It holds no provisioning key: this is a production account. Devices bring certificates of your own PKI to https://…, and trust its server by server_ca.pem.
    For Yocto with meta-updater, in conf/local.conf:
    SOTA_PACKED_CREDENTIALS = "${desk.path}/a.zip"
    SOTA_CLIENT_PROV = "aktualizr-device-prov"
    SOTA_DEPLOY_CREDENTIALS = "0"

    $ fleetroot account file remove plant treehub.json
    No credentials.zip of plant made from now on carries treehub.json.

    $ fleetroot account file remove plant treehub.json
    ! error: This account has no file treehub.json.
    [1]

    $ fleetroot account file set plant autoprov.url treehub.json
    ! error: autoprov.url is written by provisioning itself and cannot be set.
    [1]

    $ fleetroot account file set plant root.json missing.json
    ! error: cannot read missing.json: no such file or directory
    [1]
    `,
    { cwd: desk.path, data: server.dir },
  );
});

test('--json tells of the provisioning key, and holds nothing of the archive', async () => {
  await using server = await Fleetroot.start();
  await server.json('account', 'create', 'acme');
  const file = server.file('c.zip');
  const made = await server.json(
    'credentials',
    'create',
    'acme',
    '-o',
    file,
    '--max-uses',
    '3',
    '--expires',
    '2031-01-31T12:00:00Z',
  );
  assert.deepEqual(Object.keys(made).sort(), ['autoprov_url', 'entries', 'file', 'local_conf', 'provisioning_key']);
  assert.equal(made.file, file);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  const { id, description, not_after, max_uses, uses, state } = made.provisioning_key;
  assert.deepEqual(
    { description, not_after, max_uses, uses, state },
    { description: null, not_after: '2031-01-31T12:00:00.000Z', max_uses: 3, uses: 0, state: 'active' },
  );
  assert.deepEqual(await server.json('provisioning-key', 'show', 'acme', id), made.provisioning_key);
  assert.equal((await server.json('provisioning-key', 'disable', 'acme', id)).state, 'disabled');
  assert.equal((await server.json('provisioning-key', 'list', 'acme'))[0].state, 'disabled');
  await server.json('account', 'file', 'set', 'acme', 'treehub.json', file);
  const { entries } = await server.json('credentials', 'create', 'acme', '-o', server.file('d.zip'));
  assert.deepEqual(entries, ['autoprov.url', 'autoprov_credentials.p12', 'server_ca.pem', 'treehub.json']);
});

test('the lines for local.conf follow from what the archive holds', () => {
  const push = 'IMAGE_FSTYPES:remove = "ostreepush garagesign garagecheck"';
  assert.ok(localConf('/c.zip', ['autoprov.url']).includes(push));
  assert.ok(!localConf('/c.zip', ['autoprov.url', 'treehub.json']).includes(push));
});
