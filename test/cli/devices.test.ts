import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { needs } from '../support/require.ts';
import { tell } from '../support/transcript.ts';

const programs = { skip: needs('openssl', 'curl', 'unzip') };

test('a device arrives, waits, is let in, kept out, let in again, and turned away for good', programs, async () => {
  await using server = await Fleetroot.start();
  await server.json('account', 'create', 'acme');
  await server.json('account', 'set', 'acme', '--admission', 'approval');
  const image = await server.image('acme');
  const device = await image.boot('bench 1');
  await device.whoAmI();
  const desk = { cwd: server.dir, data: server.dir };
  await tell(
    `
    $ fleetroot device list acme --state active
    ! The account acme has no active devices.

    $ fleetroot device list acme
    DEVICE ID  STATE    METHOD  FLEET ROOT CA  CERTIFICATE UNTIL  LAST SEEN  UUID
    bench 1    pending  shared  generated      …

    $ fleetroot device approve acme 'bench 1'
    The device bench 1 is active.

    $ fleetroot device approve acme 'bench 1'
    ! error: The device "bench 1" is active: neither it nor a new key of it waits for approval.
    [1]

    $ fleetroot device suspend acme 'bench 1'
    The device bench 1 is suspended.

    $ fleetroot device resume acme 'bench 1'
    The device bench 1 is active.

    $ fleetroot device show acme 'bench 1'
    device ID                       bench 1
    uuid                            …
    state                           active
    method                          shared credentials
    Fleet Root CA                   generated (…)
    may move to                     -
    provisioning key                …
    may be provisioned again until  -
    certificate until               …
    first seen                      …
    last seen                       …
    STATE    NOT BEFORE  NOT AFTER  FIRST USED  SHA-256
    current  …
    ! It has reported nothing yet.

    $ fleetroot device show acme bench
    ! error: This account has no device "bench".
    ! hint: …
    [1]

    $ fleetroot device reprovision acme 'bench 1'
    The device bench 1 may be provisioned once more until ….

    $ fleetroot device revoke acme 'bench 1'
    The device bench 1 is revoked.

    $ fleetroot device delete acme 'bench 1'
    ! error: this needs to be confirmed, and there is no terminal to ask
    ! hint: give --yes to go ahead
    [1]

    $ fleetroot device delete acme 'bench 1' --yes
    The device bench 1 is deleted.

    $ fleetroot device list acme
    ! The account acme has no devices.
    `,
    desk,
  );

  assert.equal((await device.whoAmI()).status, 403);
  const [refusal] = await eventually(async () => {
    const refusals = await server.json('refusal', 'list', 'acme');
    return refusals.some(({ code }: { code: string }) => code === 'certificate_revoked') && refusals;
  });
  assert.deepEqual([refusal.code, refusal.device_id, refusal.count], ['certificate_revoked', 'bench 1', 1]);
  await tell(
    `
    $ fleetroot refusal list acme | head -4
    …Z  certificate_revoked
    device ID bench 1, address …, SNI ….gateway.localhost
    …
    …

    $ fleetroot refusal list --unassigned
    ! Nobody was turned away.
    `,
    desk,
  );
});

test('a device and its certificates are what the contract says, in JSON', programs, async () => {
  await using server = await Fleetroot.start();
  await server.json('account', 'create', 'acme');
  const image = await server.image('acme');
  await (await image.boot('bench-1')).whoAmI();
  const [device] = await server.json('device', 'list', 'acme');
  const members = ['device_id', 'uuid', 'state', 'method', 'fleet_root_ca', 'fleet_root_ca_name', 'provisioning_key'];
  for (const member of [...members, 'certificate_not_after', 'first_seen']) assert.ok(device[member], member);
  assert.ok('last_seen' in device);
  const [certificate, ...others] = await server.json('certificate', 'list', 'acme', `uuid:${device.uuid}`);
  assert.equal(others.length, 0);
  for (const member of ['sha256', 'tbs_sha256', 'serial', 'not_before', 'not_after'])
    assert.ok(certificate[member], member);
  assert.equal(certificate.state, 'current');
  assert.equal(certificate.not_after, device.certificate_not_after);
  const revoked = await server.json('certificate', 'revoke', 'acme', certificate.sha256);
  assert.deepEqual(revoked, { ...certificate, state: 'revoked' });
  const shown = await server.json('device', 'show', 'acme', 'bench-1');
  assert.deepEqual(shown.certificates, [revoked]);
  const [key] = await server.json('provisioning-key', 'list', 'acme');
  assert.deepEqual([key.uses, key.devices, device.provisioning_key], [1, ['bench-1'], key.id]);
});

test('a UUID is the same in capitals (RFC 9562); a device ID is not', programs, async () => {
  await using server = await Fleetroot.start();
  const account = await server.json('account', 'create', 'acme');
  await (await server.image('acme')).boot('bench-1');
  const capitals = account.id.toUpperCase();
  assert.equal((await server.json('account', 'show', capitals)).name, 'acme');
  const [device] = await server.json('device', 'list', capitals);
  const named = await server.json('device', 'show', 'acme', `uuid:${device.uuid.toUpperCase()}`);
  assert.equal(named.device_id, 'bench-1');
  const ca = await server.json('fleet-root', 'show', 'acme', device.fleet_root_ca.toUpperCase());
  assert.equal(ca.name, 'generated');
  assert.equal((await server.command('device', 'show', 'acme', 'BENCH-1')).code, 1);
});

test('a list longer than a page comes whole and in order', async () => {
  await using server = await Fleetroot.start();
  await server.json('account', 'create', 'acme');
  const ids = Array.from({ length: 2500 }, (_, index) => `vin-${String(index).padStart(5, '0')}`);
  await writeFile(server.file('ids.txt'), ids.join('\n'));
  const { added, already } = await server.json('allow-list', 'import', 'acme', server.file('ids.txt'));
  assert.deepEqual([added, already], [2500, 0]);
  const listed = await server.json('allow-list', 'list', 'acme');
  assert.deepEqual(
    listed.map(({ device_id }: { device_id: string }) => device_id),
    ids,
  );
});

test('the allow-list is imported from text or CSV, and a row that is wrong is told of', async () => {
  await using server = await Fleetroot.start();
  await server.json('account', 'create', 'acme');
  await writeFile(server.file('ids.csv'), '\ufeffVIN;device_id\r\nW0L1;bench-1\r\nW0L2;"bench;2"\r\n');
  await writeFile(server.file('more.txt'), 'bench-1\n\nbench-3\n');
  await writeFile(server.file('bad.txt'), 'bench-4\nbench-\x1b[2J5\n');
  await tell(
    `
    $ fleetroot allow-list list acme
    ! The allow-list of acme is empty.

    $ fleetroot allow-list import acme ids.csv
    2 device ID(s) added; 0 had been there.

    $ fleetroot allow-list import acme more.txt
    1 device ID(s) added; 1 had been there.

    $ fleetroot allow-list import acme bad.txt
    1 device ID(s) added; 0 had been there.
    ! line 2: The device ID "bench-\\u001b[2J5" contains a control, formatting, invisible or line-separating character.
    [1]

    $ fleetroot allow-list import acme bad.txt --all-or-nothing
    Nothing was imported.
    ! line 2: …
    [1]

    $ fleetroot allow-list count acme
    device IDs  4
    joined      0
    never seen  4

    $ fleetroot allow-list remove acme bench-1 'bench;2' bench-9 bench-4
    3 device ID(s) removed.

    $ fleetroot allow-list list acme
    DEVICE ID  JOINED  LAST SEEN  LABELS
    bench-3    -       -          -
    `,
    { cwd: server.dir, data: server.dir },
  );
});
