// `npm run bench`: the gateway beside nginx and plain Node, provisioning, the crypto service alone, and the custodians.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { benchCustodians } from './custodians.ts';
import { benchCustodyAway } from './custody-away.ts';
import { benchFactory } from './factory.ts';
import { Fleetroot } from './fleetroot.ts';
import { benchGateway } from './gateway.ts';
import { compileLoad } from './load.ts';
import { loadCore, serverCore } from './pinned.ts';
import { benchProvisioning } from './provisioning.ts';
import { benchRevocation } from './revocation.ts';

const accounts = 1000;
const devices = 50;

const tools = {
  nginx: ['nginx', '-v'],
  gcc: ['gcc', '--version'],
  'libssl-dev': ['sh', '-c', 'echo "#include <openssl/ssl.h>" | gcc -E -'],
  openssl: ['openssl', 'version'],
  unzip: ['unzip', '-v'],
  'util-linux': ['taskset', '--version'],
  softhsm2: ['softhsm2-util', '--version'],
  'python3-venv': ['python3', '-m', 'venv', '--help'],
} as const;

const missing = Object.entries(tools).filter(([, [command, ...args]]) => spawnSync(command, args).status !== 0);
if (missing.length > 0) throw new Error(`The bench needs Debian's ${missing.map(([name]) => name).join(', ')}.`);
if (cpus().length <= Math.max(serverCore, loadCore)) throw new Error('The bench needs two processors.');

console.log(`${cpus()[serverCore]!.model}, Linux ${release()}, load before ${loadavg()[0]!.toFixed(2)}`);
console.log(`Node ${process.version}, its OpenSSL ${process.versions.openssl}`);
console.log(spawnSync('nginx', ['-V'], { encoding: 'utf8' }).stderr.split('\n').slice(0, 2).join(', '));

await using held = new AsyncDisposableStack();
const dir = mkdtempSync(join(tmpdir(), 'fleetroot-bench-'));
held.defer(() => rmSync(dir, { recursive: true, force: true }));
const program = compileLoad(dir);

const small = held.use(await Fleetroot.start(join(dir, 'one')));
const [account] = await small.fill(1, devices);
const large = held.use(await Fleetroot.start(join(dir, 'many')));
const many = await large.fill(accounts, 1);

await benchGateway(dir, program, { fleetroot: small, account: account! }, { fleetroot: large, accounts: many });
await benchProvisioning(program, small, account!);
await benchRevocation(small, account!, 'account-0');

console.log('\nThe crypto service alone');
const cryptoService = new URL('crypto-service.ts', import.meta.url).pathname;
execFileSync('taskset', ['-c', `${serverCore}`, process.execPath, cryptoService], { stdio: 'inherit' });

await benchCustodians(program, dir);
await benchCustodyAway(program, dir);
await benchFactory(dir);
