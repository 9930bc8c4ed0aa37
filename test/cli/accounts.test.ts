import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fleetroot } from '../support/fleetroot.ts';
import { temporaryDirectory } from '../support/process.ts';
import { tell } from '../support/transcript.ts';

test('somebody makes an account, changes its policies, and deletes it', async () => {
  await using server = await Fleetroot.start();
  await using desk = await temporaryDirectory();
  await tell(
    `
    $ fleetroot account list
    ! There are no accounts yet: make one with \`fleetroot account create NAME\`.

    $ fleetroot account list --json
    []

    $ fleetroot account create acme
    name                    acme
    id                      …
    kind                    test
    gateway URL             https://….gateway.localhost:${server.port}
    hosts                   ….gateway.localhost
    admission               automatic
    rekey                   accept
    key type                p256
    validity                10y
    device ID pattern       -
    namespace               acme
    gateway CAs             active until …, SHA-256 …
                            standby until …, SHA-256 …
    Fleet Root CAs          … (generated, active), 0 device(s)
    keys that sign devices  that of generated, in software, may be given out, key …
    distrusted keys         -
    files                   -
    created                 …
    ! Next: \`fleetroot credentials create acme -o credentials.zip\`.

    $ fleetroot account create acme
    ! error: There is an account with the name acme already.
    [1]

    $ fleetroot account create 'Acme & Sons'
    ! error: "Acme & Sons" is no account name.
    ! hint: A name has 1 to 63 characters …
    [1]

    $ fleetroot account create plant --kind production
    name                    plant
    id                      …
    kind                    production
    ...
    Fleet Root CAs          -
    keys that sign devices  none: this server has no key that could sign a device certificate for this account
    ...
    ! Next: \`fleetroot fleet-root register plant FILE\` with the certificate of your own CA.

    $ fleetroot account list
    NAME   KIND        ADMISSION  …
    acme   test        automatic  …
    plant  production  automatic  …

    $ fleetroot account set acme --admission approval --validity 90d --device-id-pattern 'vin-[0-9]+' --namespace default
    name               acme
    ...
    admission          approval
    rekey              accept
    key type           p256
    validity           90d
    device ID pattern  vin-[0-9]+
    namespace          default
    ...

    $ fleetroot account set acme --device-id-pattern '' --json | grep pattern
    "device_id_pattern": null,

    $ fleetroot account set acme --device-id-pattern '(['
    ! error: …no regular expression…
    ! hint: …
    [1]

    $ fleetroot account set plant --validity 90d
    ! error: A production account issues no device certificates, so it has neither a key type nor a validity for them.
    [1]

    $ fleetroot account show nobody
    ! error: There is no account "nobody".
    ! hint: \`account list\` shows the accounts.
    [1]

    $ fleetroot account delete plant
    ! error: this needs to be confirmed, and there is no terminal to ask
    ! hint: give --yes to go ahead
    [1]

    $ fleetroot --yes account delete plant
    The account plant is deleted.

    $ fleetroot account list
    NAME  KIND  …
    acme  test  …
    `,
    { cwd: desk.path, data: server.dir },
  );
});

test('a host is added by which devices come, and taken away again', async () => {
  await using server = await Fleetroot.start();
  await using desk = await temporaryDirectory();
  await tell(
    `
    $ fleetroot account create acme >/dev/null
    ! Next: …

    $ fleetroot account host add acme Gateway.Example.COM
    The hosts of acme are ….gateway.localhost, gateway.example.com.

    $ fleetroot account host add acme 192.0.2.7
    The hosts of acme are ….gateway.localhost, gateway.example.com, 192.0.2.7.

    $ fleetroot account host add acme '*.example.com'
    ! error: "*.example.com" is neither a host name nor an IP address.
    ! hint: Host names have letters, digits, "-" and dots. Wildcards are not taken: name each host.
    [1]

    $ fleetroot account host add acme other.gateway.localhost
    ! error: other.gateway.localhost lies under the gateway domain gateway.localhost…
    [1]

    $ fleetroot account host remove acme gateway.example.com
    The hosts of acme are ….gateway.localhost, 192.0.2.7.

    $ fleetroot account host remove acme gateway.example.com
    ! error: This account has no host gateway.example.com.
    [1]
    `,
    { cwd: desk.path, data: server.dir },
  );
});

test('the gateway CA that is on standby takes over, and another stands by', async () => {
  await using server = await Fleetroot.start();
  const before = await server.json('account', 'create', 'acme');
  const after = await server.json('account', 'gateway-ca', 'switch', 'acme');
  const states = (account: typeof before) =>
    Object.fromEntries(
      account.gateway_cas.map(({ sha256, state }: { sha256: string; state: string }) => [sha256, state]),
    );
  const [active, standby] = Object.keys(states(before));
  assert.equal(states(before)[active!], 'active');
  assert.equal(states(after)[active!], 'retired');
  assert.equal(states(after)[standby!], 'active');
  assert.equal(Object.values(states(after)).filter((state) => state === 'standby').length, 1);
});

test('an account is what the contract says, in JSON', async () => {
  await using server = await Fleetroot.start();
  const account = await server.json('account', 'create', 'acme');
  for (const member of ['id', 'name', 'kind', 'gateway_url', 'hosts', 'admission', 'rekey', 'key_type', 'validity']) {
    assert.ok(account[member] !== undefined, member);
  }
  assert.equal(account.hosts[0], `${account.id}.gateway.localhost`);
  assert.equal(account.gateway_url, `https://${account.hosts[0]}:${server.port}`);
  assert.match(account.gateway_cas[0].certificate, /^-----BEGIN CERTIFICATE-----/);
  for (const member of ['id', 'name', 'kind', 'state', 'sha256', 'not_after', 'devices']) {
    assert.ok(account.fleet_root_cas[0][member] !== undefined, member);
  }
  assert.deepEqual(await server.json('account', 'show', account.id), account);
  assert.deepEqual(await server.json('account', 'list'), [account]);
});
