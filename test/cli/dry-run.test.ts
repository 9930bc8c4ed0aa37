// What breaks if I do this, at the command line: shown by `--dry-run`, asked at a terminal, bounded by `--max`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fleetroot } from '../support/fleetroot.ts';
import { needs } from '../support/require.ts';
import { atTerminal } from '../support/terminal.ts';
import { tell } from '../support/transcript.ts';

const programs = { skip: needs('openssl', 'curl', 'unzip') };

test('a dry run shows what it would touch; a bound that is too small does nothing', programs, async () => {
  await using server = await Fleetroot.start();
  await server.json('account', 'create', 'acme');
  const image = await server.image('acme');
  for (const name of ['bench 1', 'bench 2']) await (await image.boot(name)).whoAmI();
  const desk = { cwd: server.dir, data: server.dir };
  await tell(
    `
    $ fleetroot fleet-root disable acme generated --dry-run
    It touches 2 device(s), of which … were seen in the last day; 2 would be refused from then on.
    2  fleet_root_ca_disabled: The certificate leads through the key of the Fleet Root CA "generated", which is disabled.
    Such as: ….
    Newcomers: Those under "generated" are refused with fleet_root_ca_disabled. A generated one makes no more devices.

    $ fleetroot fleet-root disable acme generated --max 1
    ! error: This touches 2 device(s), of which 2 would be refused from then on: that is to be confirmed, and nothing was done.
    ! hint: …--max 2).
    [1]

    $ fleetroot fleet-root close acme generated
    The Fleet Root CA generated is closed; it has 2 device(s).

    $ fleetroot fleet-root disable acme generated
    The Fleet Root CA generated is disabled; it has 2 device(s).
    ! 2 device(s) touched, … of them seen in the last day; 2 refused from now on: fleet_root_ca_disabled 2.

    $ fleetroot fleet-root activate acme generated
    The Fleet Root CA generated is active; it has 2 device(s).

    $ fleetroot fleet-root disable acme generated --max 2
    The Fleet Root CA generated is disabled; it has 2 device(s).

    $ fleetroot fleet-root activate acme generated
    The Fleet Root CA generated is active; it has 2 device(s).

    $ fleetroot device suspend acme 'bench 1'
    The device bench 1 is suspended.

    $ fleetroot account set acme --admission allow-list --dry-run
    It touches 0 device(s), of which 0 were seen in the last day; 0 would be refused from then on.
    Newcomers: Newcomers that are not on the allow-list are refused with device_id_not_allowed; those that wait and are on it get in.

    $ fleetroot account delete acme
    ! error: this needs to be confirmed, and there is no terminal to ask
    ! hint: give --yes to go ahead
    [1]

    $ fleetroot account delete acme --max 1
    ! error: This touches 2 device(s)…
    ! hint: …
    [1]

    $ fleetroot account list --dry-run
    ! error: account list has no option --dry-run
    ! usage: …
    ! hint: …
    [2]

    $ fleetroot account delete acme --max 2
    The account acme is deleted.
    `,
    desk,
  );
});

test('its JSON is the impact, and nothing is done', programs, async () => {
  await using server = await Fleetroot.start();
  await server.json('account', 'create', 'acme');
  await (await server.image('acme')).boot('bench-1');
  const impact = await server.json('account', 'delete', 'acme', '--dry-run');
  const { action, devices, refused, confirm, by_rule, sample } = impact;
  assert.deepEqual([action, devices, refused, confirm, sample], ['deleteAccount', 1, 1, 1, ['bench-1']]);
  assert.deepEqual(
    by_rule.map((each: { code: string }) => each.code),
    ['not_found'],
  );
  const suspended = await server.json('device', 'suspend', 'acme', 'bench-1', '--dry-run', '--yes');
  assert.deepEqual([suspended.action, suspended.refused], ['suspendDevice', 1]);
  assert.equal((await server.json('device', 'show', 'acme', 'bench-1')).state, 'active');
});

test('at a terminal the number stands before the question', programs, async () => {
  await using server = await Fleetroot.start();
  await server.json('account', 'create', 'acme');
  await (await server.image('acme')).boot('bench-1');
  const disable = ['fleet-root', 'disable', 'acme', 'generated', '--data', server.dir];
  const question = 'Shut out every device under the Fleet Root CA generated of acme? [y/N]';
  const refused = await atTerminal(disable, [[question, 'n\n']]);
  assert.equal(refused.code, 1);
  assert.match(refused.shown, /It touches 1 device\(s\).*1 would be refused[^]*Shut out every device/);
  assert.match(refused.shown, /nothing was done/);
  assert.equal((await server.json('fleet-root', 'show', 'acme', 'generated')).state, 'active');
  const suspend = ['device', 'suspend', 'acme', 'bench-1', '--data', server.dir];
  const asked = await atTerminal(suspend, [['Go ahead with `device suspend`? [y/N]', 'y\n']]);
  assert.equal(asked.code, 0, asked.shown);
  const done = await atTerminal(disable, [[question, 'y\n']]);
  assert.equal(done.code, 0, done.shown);
  assert.equal((await server.json('fleet-root', 'show', 'acme', 'generated')).state, 'disabled');
});
