import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fleetroot } from '../support/fleetroot.ts';
import { Pki } from '../support/pki.ts';
import { needs } from '../support/require.ts';
import { tell } from '../support/transcript.ts';

test(
  'a company brings its own CA: registered, explained by, closed, disabled, succeeded',
  { skip: needs('openssl') },
  async () => {
    await using server = await Fleetroot.start();
    await using pki = await Pki.open();
    await server.json('account', 'create', 'plant', '--kind', 'production');
    const root = await pki.guideRoot('plant-2026');
    const next = await pki.guideRoot('plant-2036');
    const { certificate: device } = await root.guideDevice('vin-1');
    const { certificate: stranger } = await (await pki.plainRoot('elsewhere')).guideDevice('vin-2');
    const bundle = await pki.bundle(root.certificate, (await root.intermediate('line 4')).certificate);
    await tell(
      `
    $ fleetroot fleet-root list plant
    ! The account plant has no Fleet Root CA, so no device gets in: \`fleetroot fleet-root register\` adds one.

    $ fleetroot explain plant ${device}
    refused    certificate_untrusted
    device ID  vin-1
    rule       …
    remedy     …fleet-root register…
    [1]

    $ fleetroot fleet-root register plant ${root.key}
    ! error: …private key…
    ! hint: Give the certificate alone: the private key of a Fleet Root CA never comes to this server.
    [1]

    $ fleetroot fleet-root register plant ${device}
    ! error: The certificate (CN=vin-1) is no CA certificate…
    ! hint: …
    [1]

    $ fleetroot fleet-root register plant ${bundle}
    The Fleet Root CA plant-2026 (…) is registered; it is valid until ….
    The first certificate of the file is the trust anchor, the other 1 its intermediates.

    $ fleetroot fleet-root register plant ${root.certificate}
    ! error: The account has this certificate already, as "plant-2026".
    ! hint: …
    [1]

    $ fleetroot explain plant ${device}
    Admitted as vin-1 under the Fleet Root CA ….

    $ fleetroot explain plant ${stranger} --json | grep admitted
    "admitted": false,

    $ fleetroot fleet-root close plant plant-2026
    The Fleet Root CA plant-2026 is closed; it has 0 device(s).

    $ fleetroot explain plant ${device}
    refused    fleet_root_ca_closed
    ...
    [1]

    $ fleetroot fleet-root activate plant plant-2026
    The Fleet Root CA plant-2026 is active; it has 0 device(s).

    $ fleetroot fleet-root register plant ${next.certificate} --name successor
    The Fleet Root CA successor (…) is registered; it is valid until ….

    $ fleetroot fleet-root successor plant plant-2026 successor
    The 0 device(s) of plant-2026 may come back with certificates under successor.

    $ fleetroot fleet-root disable plant plant-2026
    The Fleet Root CA plant-2026 is disabled; it has 0 device(s).

    $ fleetroot fleet-root list plant
    NAME        KIND        STATE     ADMIT  DEVICES  …
    plant-2026  registered  disabled  chain  0  …
    successor   registered  active    chain  0  …

    $ fleetroot fleet-root show plant nothing
    ! error: The account plant has no Fleet Root CA "nothing".
    ! hint: \`fleet-root list ACCOUNT\` shows them.
    [1]
    `,
      { cwd: server.dir, data: server.dir },
    );
  },
);

test(
  'an intermediate is added, and one that was lost is distrusted until it is trusted again',
  { skip: needs('openssl') },
  async () => {
    await using server = await Fleetroot.start();
    await using pki = await Pki.open();
    await server.json('account', 'create', 'plant', '--kind', 'production');
    const root = await pki.guideRoot('plant');
    const line = await root.intermediate('line 4');
    const { certificate: device } = await line.guideDevice('vin-1');
    const registered = await server.json('fleet-root', 'register', 'plant', root.certificate);
    assert.deepEqual([registered.added, registered.intermediates], ['new', 0]);
    assert.equal((await server.command('explain', 'plant', device)).code, 1);

    const { certificates } = await server.json(
      'fleet-root',
      'add-intermediate',
      'plant',
      registered.sha256,
      line.certificate,
    );
    assert.deepEqual(
      certificates.map(({ role }: { role: string }) => role),
      ['anchor', 'intermediate'],
    );
    const explained = await server.json('explain', 'plant', device);
    assert.deepEqual(explained, {
      admitted: true,
      device_id: 'vin-1',
      fleet_root_ca: registered.id,
      code: null,
      rule: null,
      remedy: null,
    });

    const { public_key_sha256 } = await server.json('fleet-root', 'distrust', 'plant', line.certificate);
    assert.equal((await server.command('explain', 'plant', device)).code, 1);
    const { distrusted_keys } = await server.json('account', 'show', 'plant');
    assert.deepEqual(
      distrusted_keys.map((key: { public_key_sha256: string; subject: string }) => [
        key.public_key_sha256,
        key.subject,
      ]),
      [[public_key_sha256, 'CN=line 4']],
    );
    await server.json('fleet-root', 'trust', 'plant', line.certificate);
    assert.equal((await server.command('explain', 'plant', device)).code, 0);
  },
);

test('at the end of a factory line a chain is explained without any server', { skip: needs('openssl') }, async () => {
  await using pki = await Pki.open();
  const root = await pki.guideRoot('plant');
  const other = await pki.guideRoot('other');
  const line = await root.intermediate('line 4');
  const { certificate: device } = await line.guideDevice('vin-1');
  const chain = await pki.bundle(device, line.certificate);
  const where = { cwd: '/', data: '/nowhere' };
  await tell(
    `
    $ fleetroot explain --root ${root.certificate} ${chain}
    Admitted as vin-1 under the Fleet Root CA ….

    $ fleetroot explain --root ${other.certificate} ${root.certificate} ${chain}
    Admitted as vin-1 under the Fleet Root CA ….

    $ fleetroot explain --root ${other.certificate} ${chain}
    refused    certificate_untrusted
    device ID  vin-1
    ...
    [1]

    $ fleetroot explain --root ${root.certificate} --json ${chain} | grep -c .
    8

    $ fleetroot explain --root ${root.certificate} ${root.key}
    ! error: The chain: …
    ! hint: …
    [1]

    $ fleetroot explain --root missing.crt ${chain}
    ! error: cannot read missing.crt: no such file or directory
    [1]
    `,
    where,
  );
});
