// `npm run bench [-- PART…]`: the gateway beside nginx and plain Node, provisioning beside OpenBao, revocation over nodes, custody.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { benchConsole } from './console.ts';
import { benchCustodians } from './custodians.ts';
import { benchCustodyAway } from './custody-away.ts';
import { benchFactory } from './factory.ts';
import type { Figure } from './figures.ts';
import { Fleetroot } from './fleetroot.ts';
import { benchGateway } from './gateway.ts';
import { benchKeyExchange } from './key-exchange.ts';
import { compileLoad } from './load.ts';
import { benchMassReturn } from './mass-return.ts';
import { benchMillion } from './million.ts';
import { benchNodeCosts } from './node-costs.ts';
import { benchNodes } from './nodes.ts';
import { loadCore, serverCore } from './pinned.ts';
import { benchProvisioning } from './provisioning.ts';
import { benchRevocation } from './revocation.ts';
import { benchWorkers } from './workers.ts';

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

/** One server with one account, made when the first part asks for it. */
const one = once(async () => {
  const fleetroot = held.use(await Fleetroot.start(join(dir, 'one')));
  const [account] = await fleetroot.fill(1, devices);
  return { fleetroot, account: account! };
});
const many = once(async () => {
  const fleetroot = held.use(await Fleetroot.start(join(dir, 'many')));
  return { fleetroot, accounts: await fleetroot.fill(accounts, 1) };
});
const own = (name: string): string => {
  const home = join(dir, name);
  mkdirSync(home);
  return home;
};
const script = ({ pathname }: URL): void => {
  execFileSync('taskset', ['-c', `${serverCore}`, process.execPath, pathname], { stdio: 'inherit' });
};

/** The parts, in the order in which they are run; what they give goes into docs/performance.json. */
const parts: Record<string, () => Promise<readonly Figure[] | void>> = {
  gateway: async () => benchGateway(dir, program, await one(), await many()),
  'key-exchange': async () => {
    const { fleetroot, account } = await one();
    return benchKeyExchange(fleetroot, account);
  },
  workers: () => benchWorkers(program, own('workers')),
  'mass-return': async () => {
    const { fleetroot, account } = await one();
    await benchMassReturn(program, fleetroot, account);
  },
  provisioning: async () => {
    const { fleetroot, account } = await one();
    return benchProvisioning(program, fleetroot, account);
  },
  revocation: async () => {
    const { fleetroot, account } = await one();
    await benchRevocation(fleetroot, account, 'account-0');
  },
  million: async () => benchMillion(program, await one()),
  console: async () => benchConsole((await one()).fleetroot),
  nodes: () => benchNodes(own('nodes')),
  'node-costs': () => benchNodeCosts(program, own('node-costs')),
  'crypto-service': async () => script(new URL('crypto-service.ts', import.meta.url)),
  'issuance-records': async () => script(new URL('issuance-records.ts', import.meta.url)),
  custodians: () => benchCustodians(program, own('custodians')),
  'custody-away': () => benchCustodyAway(program, own('custody-away')),
  factory: () => benchFactory(own('factory')),
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => parts[name] === undefined);
if (unknown.length > 0) throw new Error(`There is no part ${unknown.join(', ')}: ${Object.keys(parts).join(', ')}.`);
for (const [name, part] of Object.entries(parts)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  const figures = await part();
  if (figures) record(figures);
}

/** Puts figures in the place of those of an earlier run. */
function record(figures: readonly Figure[]): void {
  const file = new URL('../docs/performance.json', import.meta.url).pathname;
  const before = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Figure[]) : [];
  const isNew = ({ what, against }: Figure) => figures.some((each) => each.what === what && each.against === against);
  writeFileSync(file, `${JSON.stringify([...before.filter((each) => !isNew(each)), ...figures], null, 2)}\n`);
}

function once<Made>(make: () => Promise<Made>): () => Promise<Made> {
  let made: Promise<Made> | undefined;
  return () => (made ??= make());
}
