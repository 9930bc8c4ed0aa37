import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../src/cli/program.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { temporaryDirectory } from '../support/process.ts';
import { ServeProcess } from '../support/serve.ts';
import { fleetroot, tell } from '../support/transcript.ts';

test('without a server the program says so, and how to start one', async () => {
  await using desk = await temporaryDirectory();
  await tell(
    `
    $ fleetroot account list
    ! error: no server is running on ${desk.path}
    ! hint: start one with \`fleetroot serve --data ${desk.path}\`
    [1]

    $ fleetroot account list --data elsewhere
    ! error: no server is running on ${desk.path}/elsewhere
    ! hint: …
    [1]

    $ fleetroot account
    ! error: "account" needs one word more
    ! hint: there is account create, account list, …
    [2]

    $ fleetroot account create
    ! error: NAME is missing
    ! usage: fleetroot account create NAME [--kind test|production] [--exportable yes|no] [--owner-key FILE]
    ! hint: \`fleetroot account create --help\` explains it
    [2]

    $ fleetroot --version
    fleetroot 0.1.0

    $ fleetroot | head -1
    usage: fleetroot COMMAND …

    $ fleetroot account create --help | head -1
    usage: fleetroot account create NAME [--kind test|production] [--exportable yes|no] [--owner-key FILE]
    `,
    { cwd: desk.path, data: desk.path },
  );
});

test('a data directory of any length and any name is reached', async () => {
  await using desk = await temporaryDirectory();
  const dir = join(desk.path, 'ä b', ...Array.from({ length: 20 }, () => 'a-rather-long-name'));
  await using _server = await ServeProcess.start(dir, '--gateway-port', '0');
  assert.equal((await fleetroot(['account', 'create', 'acme', '--data', dir])).code, 0);
  const { stdout } = await fleetroot(['account', 'list', '--data', dir, '--json']);
  assert.equal(JSON.parse(stdout)[0].name, 'acme');
});

test('a reader that has had enough ends the output, not the program', async () => {
  await using server = await Fleetroot.start();
  // More than a pipe holds, so that the rest meets a closed one.
  const ids = Array.from({ length: 20_000 }, (_, index) => `vin-${index}`);
  await server.json('account', 'create', 'acme');
  await writeFile(server.file('ids.txt'), ids.join('\n'));
  await server.json('allow-list', 'import', 'acme', server.file('ids.txt'));
  await tell(
    `
    $ fleetroot allow-list list acme | head -2; echo over
    DEVICE ID  JOINED  LAST SEEN  LABELS
    vin-0  -  -  -
    over

    $ fleetroot allow-list list acme --json | head -1; echo over
    [
    over
    `,
    { cwd: server.dir, data: server.dir },
  );
});

/** Runs a command at a terminal at which somebody answers every question so. */
async function answering(answer: boolean, words: readonly string[]) {
  const asked: string[] = [];
  let stderr = '';
  const code = await run(
    words,
    {},
    {
      out: () => {},
      err: (text) => void (stderr += text),
      ask: async (question) => {
        asked.push(question);
        return answer;
      },
      askSecret: async () => null,
    },
  );
  return { code, asked, stderr };
}

test('at a terminal, what cannot be undone asks first, and a no does nothing', async () => {
  await using server = await Fleetroot.start();
  await server.json('account', 'create', 'acme');
  const destroy = ['account', 'delete', 'acme', '--data', server.dir];
  assert.deepEqual(await answering(false, destroy), {
    code: 1,
    asked: ['Delete the account acme with everything in it?'],
    stderr: 'error: not confirmed: nothing was done\n',
  });
  assert.equal((await server.json('account', 'list')).length, 1);
  const { asked } = await answering(false, [...destroy, '--yes']);
  assert.deepEqual(asked, []);
  assert.equal((await server.json('account', 'list')).length, 0);
});

test('at a terminal, what shuts devices out asks too; a script that says it means it', async () => {
  await using server = await Fleetroot.start();
  await server.json('account', 'create', 'acme');
  const disable = ['fleet-root', 'disable', 'acme', 'generated'];
  const { code, asked } = await answering(false, [...disable, '--data', server.dir]);
  assert.deepEqual([code, asked], [1, ['Shut out every device under the Fleet Root CA generated of acme?']]);
  assert.equal((await server.json('fleet-root', 'show', 'acme', 'generated')).state, 'active');
  assert.equal((await server.json(...disable)).state, 'disabled');
});

test('what a stranger named itself cannot act on the terminal, in questions and errors either', async () => {
  await using server = await Fleetroot.start();
  await server.json('account', 'create', 'acme');
  const hostile = 'vin\x1b[2J\u202e1';
  const exported = ['fleet-root', 'export', 'acme', hostile, '-o', server.file('key.pem'), '--data', server.dir];
  const { asked } = await answering(false, exported);
  assert.match(asked[0]!, /^Give out the private key of the Fleet Root CA vin\\u\{1b\}\[2J\\u\{202e\}1\?/);
  const unknown = await answering(true, ['device', 'delete', 'acme', hostile, '--data', server.dir]);
  assert.deepEqual([unknown.code, unknown.asked], [1, []], 'what is not there is not asked about');
  assert.doesNotMatch(unknown.stderr, /[\x1b\u202e]/);
  const { stderr } = await server.command('device', 'show', 'acme', hostile);
  assert.doesNotMatch(stderr, /[\x1b\u202e]/);
});

test('a question at a real terminal is asked there', { skip: process.platform !== 'linux' }, async () => {
  await using server = await Fleetroot.start();
  await server.json('account', 'create', 'acme');
  const main = join(import.meta.dirname, '../../src/main.ts');
  const command = `'${process.execPath}' '${main}' account delete acme --data '${server.dir}'`;
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], { stdio: 'pipe' });
  let said = '';
  child.stdout.on('data', (part: Buffer) => {
    if (!said.includes('[y/N]') && (said += part.toString()).includes('[y/N]')) child.stdin.write('y\n');
    else said += part.toString();
  });
  const [code] = await once(child, 'exit');
  assert.match(said, /Delete the account acme with everything in it\? \[y\/N\]/);
  assert.equal(code, 0, said);
  assert.deepEqual(await server.json('account', 'list'), []);
});
