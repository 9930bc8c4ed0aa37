// The launcher in a checkout of its own, with an npm that only pretends: first starts, later starts, and what can fail.

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const repository = join(import.meta.dirname, '..');
const playground = realpathSync(mkdtempSync(join(tmpdir(), 'fleetroot-launcher-')));
after(() => rmSync(playground, { recursive: true }));

/** What the launcher may find in PATH, npm and node left to each test. */
const shellTools = ['sh', 'cat', 'dirname', 'getconf', 'ln', 'mkdir', 'readlink', 'rm', 'sleep', 'uname'];

/** Stands for src/main.ts: tells how it was called, reads stdin to its end and exits with 7. */
const main = `
import { text } from 'node:stream/consumers';
const stdin: string = await text(process.stdin);
console.log(JSON.stringify({
  stdin, args: process.argv.slice(2), cwd: process.cwd(), threads: process.env['UV_THREADPOOL_SIZE'],
}));
process.exitCode = 7;
`;

/** An npm that leaves what the real one would, counts its runs, and waits for the file `go` if the test wants that. */
const npm = `#!/bin/sh
echo "$*" >>npm-runs
cat
while [ -e wait ] && [ ! -e go ]; do sleep 0.05; done
mkdir -p node_modules/.bin
ln -sf '${process.execPath}' node_modules/.bin/node
: >node_modules/.package-lock.json
`;

interface Checkout {
  root: string;
  path: string;
}

/** A checkout with the real launcher; `programs` are the scripts that stand in PATH beside the shell's tools. */
function checkout(programs: Record<string, string>): Checkout {
  const root = mkdtempSync(join(playground, 'checkout-'));
  const path = join(root, 'path');
  for (const folder of ['path', 'src', 'scripts']) mkdirSync(join(root, folder));
  for (const file of ['fleetroot', 'scripts/install-dependencies']) cpSync(join(repository, file), join(root, file));
  for (const tool of shellTools) {
    symlinkSync(execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim(), join(path, tool));
  }
  for (const [name, script] of Object.entries(programs)) writeFileSync(join(path, name), script, { mode: 0o755 });
  writeFileSync(join(root, 'src/main.ts'), main);
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  writeFileSync(join(root, 'package-lock.json'), '{}');
  utimesSync(join(root, 'package-lock.json'), 1_000_000_000, 1_000_000_000);
  return { root, path };
}

/** Runs a launcher to its end. */
function launch(from: Checkout, { program = join(from.root, 'fleetroot'), args = [''], cwd = '/', input = '' } = {}) {
  const env = { PATH: from.path };
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, input, env, encoding: 'utf8' });
  return { status, stdout, stderr };
}

function npmRuns({ root }: Checkout): string[] {
  return existsSync(join(root, 'npm-runs')) ? readFileSync(join(root, 'npm-runs'), 'utf8').trim().split('\n') : [];
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null) await once(child, 'exit');
  return child.exitCode;
}

test('the first start installs from the lockfile, says so on stderr alone, and later starts say nothing', () => {
  const here = checkout({ npm });
  const first = launch(here);
  assert.equal(first.status, 7);
  assert.equal(first.stderr, 'fleetroot: installing the locked dependencies, this once…\n');
  assert.equal(JSON.parse(first.stdout).cwd, '/');
  const second = launch(here);
  assert.equal(second.status, 7);
  assert.equal(second.stderr, '');
  assert.deepEqual(npmRuns(here), [
    'ci --include=dev --include=optional --ignore-scripts --no-audit --no-fund --loglevel=error',
  ]);
});

test('a lockfile that changed since is installed anew', () => {
  const here = checkout({ npm });
  launch(here);
  utimesSync(join(here.root, 'package-lock.json'), new Date(), new Date(Date.now() + 60_000));
  launch(here);
  assert.equal(npmRuns(here).length, 2);
});

test('arguments, working directory, standard input and exit code pass through, by a chain of symbolic links too', () => {
  const here = checkout({ npm });
  mkdirSync(join(here.root, 'a b'));
  symlinkSync('../fleetroot', join(here.root, 'a b', 'relative'));
  symlinkSync(join(here.root, 'a b', 'relative'), join(here.root, 'absolute'));
  const args = ['account', 'create', 'two words', '', '--', '$HOME *'];
  const seen = launch(here, { program: join(here.root, 'absolute'), args, cwd: here.path, input: 'one\ntwo' });
  assert.equal(seen.status, 7);
  const { threads, ...rest } = JSON.parse(seen.stdout);
  assert.deepEqual(rest, { stdin: 'one\ntwo', args, cwd: here.path });
  assert.ok(Number(threads) >= 4);
});

test('a signal sent to the launcher reaches the program itself', async () => {
  const here = checkout({ npm });
  writeFileSync(
    join(here.root, 'src/main.ts'),
    `process.on('SIGTERM', () => process.exit(11)); setInterval(() => {}, 1000); console.log(process.pid);`,
  );
  const child = spawn(join(here.root, 'fleetroot'), { env: { PATH: here.path }, stdio: ['ignore', 'pipe', 'inherit'] });
  const [pid] = (await once(child.stdout, 'data')) as [Buffer];
  assert.equal(Number(pid.toString()), child.pid);
  child.kill('SIGTERM');
  assert.equal(await ended(child), 11);
});

test('of five first starts at once one installs, and all five run', async () => {
  const here = checkout({ npm });
  writeFileSync(join(here.root, 'wait'), '');
  const children = Array.from({ length: 5 }, () =>
    spawn(join(here.root, 'fleetroot'), { env: { PATH: here.path }, stdio: ['ignore', 'pipe', 'pipe'] }),
  );
  await Promise.race(children.map((child) => once(child.stderr, 'data')));
  writeFileSync(join(here.root, 'go'), '');
  assert.deepEqual(await Promise.all(children.map(ended)), [7, 7, 7, 7, 7]);
  assert.equal(npmRuns(here).length, 1);
  assert.ok(!existsSync(join(here.root, '.installing')));
});

test(
  'an install that was killed is not in the way of the next start, nor of several',
  { timeout: 60_000 },
  async () => {
    const here = checkout({ npm });
    mkdirSync(join(here.root, '.installing'));
    writeFileSync(join(here.root, '.installing/pid'), `${spawnSync('true').pid}\n`);
    const children = Array.from({ length: 3 }, () =>
      spawn(join(here.root, 'fleetroot'), { env: { PATH: here.path }, stdio: ['ignore', 'ignore', 'pipe'] }),
    );
    assert.deepEqual(await Promise.all(children.map(ended)), [7, 7, 7]);
    assert.equal(npmRuns(here).length, 1);
    assert.ok(!existsSync(join(here.root, '.installing')));
  },
);

test('an install that fails is said, leaves no lock, and is begun anew', () => {
  const here = checkout({ npm: '#!/bin/sh\necho registry out of reach; exit 1\n' });
  const failed = launch(here);
  assert.equal(failed.status, 1);
  assert.equal(failed.stdout, '');
  assert.match(failed.stderr, /registry out of reach\nerror: npm ci failed.*\nhint: /);
  assert.ok(!existsSync(join(here.root, '.installing')));
  writeFileSync(join(here.path, 'npm'), npm);
  assert.equal(launch(here).status, 7);
});

test('without npm the launcher says what is missing and where to get it', () => {
  const { status, stdout, stderr } = launch(checkout({}));
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /^error: npm is not here.*\nhint: Install Node 20 or later.*\n$/);
});

test('where npm has no Node for the platform, a new enough one of the system runs the program', () => {
  const nodeless = npm.replace(/^ln .*$/m, '');
  const shim = `#!/bin/sh\nexec '${process.execPath}' "$@"\n`;
  assert.equal(launch(checkout({ npm: nodeless, node: shim })).status, 7);
  const foreign = npm.replace(/^ln .*$/m, 'echo "#!/no/such/loader" >node_modules/.bin/node; chmod +x "$_"');
  assert.equal(launch(checkout({ npm: foreign, node: shim })).status, 7);
});

test('where that one is too old as well, the launcher says which is needed', () => {
  const here = checkout({ npm: npm.replace(/^ln .*$/m, ''), node: '#!/bin/sh\necho\n' });
  const { status, stderr } = launch(here);
  assert.equal(status, 1);
  assert.match(stderr, /error: There is no pinned Node for this platform \(.+\)\.\nhint: Install Node 26 or later/);
});

test('the lockfile says nothing of the host it was made with, and everything in it has a digest', () => {
  const lockfile = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8'));
  for (const [path, entry] of Object.entries<{ resolved?: string; integrity?: string }>(lockfile.packages)) {
    assert.equal(entry.resolved, undefined, path);
    assert.ok(path === '' || entry.integrity?.startsWith('sha512-'), path);
  }
});
