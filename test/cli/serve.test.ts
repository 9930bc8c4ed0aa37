import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { execute, temporaryDirectory } from '../support/process.ts';
import { needs } from '../support/require.ts';
import { ServeProcess } from '../support/serve.ts';
import { fleetroot, tell } from '../support/transcript.ts';

test('SIGTERM ends the server in order, and its socket goes with it', async () => {
  await using desk = await temporaryDirectory();
  const dir = desk.file('data');
  await using server = await ServeProcess.start(dir, '--gateway-port', '0');
  assert.match(
    server.said,
    /Serving .*\n {2}devices: port \d+, at https:.*\n {2}health: {2}http:\/\/127\.0\.0\.1:\d+\/healthz and \/readyz\n {2}people: {2}https:\/\/localhost:\d+, its CA in operator-ca\.crt .*\nReady\./,
  );
  const health = /http:\S+healthz/.exec(server.said)![0];
  assert.deepEqual(await (await fetch(health)).json(), { status: 'ok' });
  assert.deepEqual(await (await fetch(health.replace('healthz', 'readyz'))).json(), { status: 'ready' });
  assert.equal(await server.stop('SIGTERM'), 0);
  assert.equal(existsSync(`${dir}/operator.sock`), false);
});

test('a second signal ends at once what a first is still ending in order', async () => {
  await using desk = await temporaryDirectory();
  const dir = desk.file('data');
  await using server = await ServeProcess.start(dir, '--gateway-port', '0');
  const slow = connect(`${dir}/operator.sock`);
  slow.on('error', () => {});
  slow.write(
    'POST /api/v1/accounts HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{',
  );
  // The server answers nothing yet; that it has the head shows in that it answers another call after it.
  assert.equal((await fleetroot(['account', 'list', '--data', dir])).code, 0);
  server.child.kill('SIGTERM');
  await eventually(() => server.said.includes('Ending in order'));
  assert.equal(await server.stop('SIGTERM'), 1);
});

test('what a killed server left behind is not in the way, and is its owner’s alone again', async () => {
  await using desk = await temporaryDirectory();
  const dir = desk.file('data');
  await using killed = await ServeProcess.start(dir, '--gateway-port', '0');
  await killed.kill();
  assert.equal(existsSync(`${dir}/operator.sock`), true);
  assert.equal(
    (await fleetroot(['account', 'list', '--data', dir])).stderr.split('\n')[0],
    `error: no server is running on ${dir}`,
  );
  await using again = await ServeProcess.start(dir, '--gateway-port', '0');
  assert.equal((await fleetroot(['account', 'list', '--data', dir])).code, 0);
  assert.equal((await stat(`${dir}/operator.sock`)).mode & 0o777, 0o600);
  assert.equal(await again.stop('SIGINT'), 0);
});

test('a second server on the same data is refused, and leaves the first one its socket', async () => {
  await using desk = await temporaryDirectory();
  const dir = desk.file('data');
  await using first = await ServeProcess.start(dir, '--gateway-port', '0');
  const { code, stderr } = await fleetroot(['serve', '--data', dir, '--gateway-port', '0', '--operator-port', '0']);
  assert.equal(code, 1);
  assert.match(stderr, /^error: .*data/);
  assert.equal((await fleetroot(['account', 'list', '--data', dir])).code, 0);
  assert.equal(await first.stop(), 0);
});

test('a server that cannot start says why', async () => {
  await using desk = await temporaryDirectory();
  const squatter = createServer().listen(0);
  await once(squatter, 'listening');
  const { port } = squatter.address() as { port: number };
  await writeFile(desk.file('fleetroot.toml'), '[gateway]\nprot = 1\n[log]\nlevel = "loud"\n');
  await tell(
    `
    $ fleetroot serve
    ! error: The configuration has 2 fault(s):
    ! ${desk.path}/fleetroot.toml: there is no setting gateway.prot
    ! ${desk.path}/fleetroot.toml: log.level is to be one of …
    [1]

    $ fleetroot serve --config missing.toml
    ! error: The configuration has 1 fault(s):
    ! …no such file…
    [1]

    $ rm fleetroot.toml; fleetroot serve --gateway-port 0 --operator-port ${port}
    ! error: The operator port ${port} cannot be listened on (EADDRINUSE).
    ! hint: Choose another with --operator-port.
    [1]

    $ fleetroot serve --gateway-port ${port} --operator-port 0
    ! error: …${port}…
    ...
    [1]
    `,
    { cwd: desk.path, data: desk.path },
  );
  squatter.close();
});

test(
  'TLS 1.3 sends one session ticket and not two, for which Node has no option',
  { skip: needs('openssl') },
  async () => {
    await using desk = await temporaryDirectory();
    const dir = desk.file('data');
    await using server = await ServeProcess.start(dir, '--gateway-port', '0');
    const { stdout: account } = await fleetroot(['account', 'create', 'acme', '--json', '--data', dir]);
    const [host] = JSON.parse(account).hosts;
    const { stdout } = await execute(
      'openssl',
      ['s_client', '-connect', `127.0.0.1:${server.port}`, '-servername', host, '-tls1_3', '-msg', '-ign_eof'],
      { input: `GET /device HTTP/1.1\r\nhost: ${host}\r\n\r\n` },
    );
    assert.match(stdout, /HTTP\/1\.1 403 /);
    assert.equal(stdout.match(/NewSessionTicket/g)?.length, 1);
  },
);
