import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Fleetroot } from '../support/fleetroot.ts';
import { Pki } from '../support/pki.ts';
import { needs } from '../support/require.ts';
import { tell } from '../support/transcript.ts';

test('back ends are set, listed and removed, and the preset writes the table of the open-source deployment', async () => {
  await using server = await Fleetroot.start();
  await server.json('account', 'create', 'acme');
  await writeFile(server.file('key.pem'), 'no key');
  await tell(
    `
    $ fleetroot upstream list acme
    ! The account acme has no back ends: the gateway answers its own calls alone.

    $ fleetroot upstream set acme /director https://director.example.com --rewrite '/api/v1/device/{device_uuid}' --timeout 10s
    prefix              /director
    URL                 https://director.example.com
    rewrite             /api/v1/device/{device_uuid}
    CA pinned           no
    client certificate  no
    host                -
    timeout             10s

    $ fleetroot upstream set acme /director ftp://example.com
    ! error: "ftp://example.com" is no http or https URL …
    [1]

    $ fleetroot upstream set acme /director https://example.com --key key.pem
    ! error: --certificate and --key go together
    ! usage: fleetroot upstream set ACCOUNT PREFIX URL …
    ! hint: …
    [2]

    $ fleetroot upstream remove acme /director
    The calls under /director are passed on no longer.

    $ fleetroot upstream remove acme /director
    ! error: This account has no back end for /director.
    ! hint: …
    [1]

    $ fleetroot upstream preset acme ota-community 'http://{service}.ota.ce'
    PREFIX  URL  REWRITE  HOST  TIMEOUT
    …/director…
    ...

    $ fleetroot account show acme --json | grep namespace
    "namespace": "default",
    `,
    { cwd: server.dir, data: server.dir },
  );
});

test('the key for a back end goes in and never comes out', { skip: needs('openssl') }, async () => {
  await using server = await Fleetroot.start();
  await using pki = await Pki.open();
  const ca = await pki.plainRoot('back ends');
  const client = await ca.guideDevice('gateway');
  await server.json('account', 'create', 'acme');
  const files = ['--ca', ca.certificate, '--certificate', client.certificate, '--key', client.key];
  const set = await server.json('upstream', 'set', 'acme', '/director', 'https://director.example.com', ...files);
  assert.equal(set.has_key, true);
  const [listed] = await server.json('upstream', 'list', 'acme');
  assert.deepEqual(listed, set);
  assert.ok(!JSON.stringify(listed).includes('PRIVATE KEY'));
});
