// What it costs to have the keys elsewhere: signatures, and whole provisionings, by custodian: software, SoftHSM, OpenBao.

import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openbao, OpenBao } from '../test/support/openbao.ts';
import { needsSoftHsm, tokenHome } from '../test/support/softhsm.ts';
import { type BenchAccount, Fleetroot } from './fleetroot.ts';
import { Load } from './load.ts';
import { loadCore, serverCore } from './pinned.ts';
import { type Contender, measure, print, printSpeeds } from './rounds.ts';
import type { Places } from './signatures.ts';

const timeout = 20_000;
/** Beside the 32 at once that the other loads have. */
const concurrencies = [1, 4, 16, 64, 256];

/** Measures the custodians by turns. OpenBao runs on the load's core, as on another machine; SoftHSM in the server's process tree. */
export async function benchCustodians(program: string, dir: string): Promise<void> {
  const missing = [needsSoftHsm(), openbao()].filter(Boolean);
  if (missing.length > 0) throw new Error(`The bench ${missing.join('; and ')}.`);
  // What is started from here on stays on the load's core, but for what is pinned to the server's.
  execFileSync('taskset', ['-apc', `${loadCore}`, `${process.pid}`], { stdio: 'ignore' });
  await using held = new AsyncDisposableStack();
  const token = held.use(tokenHome());
  const plain = held.use(await OpenBao.dev());
  const tls = held.use(await OpenBao.server());
  const vaults = [];
  for (const [name, bao] of Object.entries({ HTTP: plain, TLS: tls })) {
    await bao.transit();
    const file = join(dir, `${name}.token`);
    writeFileSync(file, await bao.token({ ttl: '8h' }), { mode: 0o600 });
    vaults.push({ name, address: bao.address, ca: bao.ca, file, pid: bao.pid });
  }

  console.log('\nCustodians alone');
  const options = vaults.map(({ name, address, ca, file, pid }) => ({
    pid,
    name: `vault, OpenBao over ${name}`,
    address,
    ca,
    namespace: null,
    mount: 'transit',
    keyPrefix: 'signatures-',
    login: { by: 'token', file } as const,
    timeout,
  }));
  const places: Places = {
    pkcs11: { ...token.settings, sessions: 8, timeout, withheldVariables: [] },
    vault: Object.fromEntries(
      [16, 64].flatMap((connections) =>
        options.map(({ name, ...each }) => [`${name}, ${connections} connections`, { ...each, connections }]),
      ),
    ),
  };
  const signatures = new URL('signatures.ts', import.meta.url).pathname;
  execFileSync('taskset', ['-c', `${serverCore}`, process.execPath, signatures, JSON.stringify(places)], {
    stdio: 'inherit',
  });

  const { module, tokenLabel, pinFile } = token.settings;
  const settings: Record<string, string> = {
    software: '',
    'pkcs11, SoftHSM': toml('pkcs11', { module, token_label: tokenLabel!, pin_file: pinFile! }),
  };
  for (const { name, address, ca, file } of vaults) {
    settings[`vault, OpenBao over ${name}`] = toml('vault', { address, ...(ca && { ca }), token_file: file });
  }
  const servers: { name: string; fleetroot: Fleetroot; account: BenchAccount }[] = [];
  for (const [name, text] of Object.entries(settings)) {
    const data = join(dir, `custodian-${servers.length}`);
    mkdirSync(data);
    writeFileSync(join(data, 'fleetroot.toml'), text);
    const fleetroot = held.use(await Fleetroot.start(data));
    const [account] = await fleetroot.fill(1, 1);
    servers.push({ name, fleetroot, account: account! });
  }
  const contend = ({ name, fleetroot, account }: (typeof servers)[number], atOnce?: number): Contender => ({
    name: atOnce === undefined ? name : `${name}, ${atOnce} at once`,
    server: fleetroot.server,
    load: held.use(new Load(program, fleetroot.port, [account.provisioner], 'provision', atOnce)),
  });
  const results = await measure(
    servers.map((server) => contend(server)),
    { rounds: 5, requests: 800 },
  );
  print('POST /devices by custodian, 32 at once', results);
  printSpeeds('The same, by the clock', results);
  const last = servers.at(-1)!;
  const carried = [servers[0]!, last].flatMap((server) => concurrencies.map((atOnce) => contend(server, atOnce)));
  printSpeeds('POST /devices, so many at once, by the clock', await measure(carried, { rounds: 3, requests: 300 }));
}

function toml(custodian: 'vault' | 'pkcs11', settings: Readonly<Record<string, string>>): string {
  const lines = Object.entries(settings).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
  return `[custody]\ndefault = "${custodian}"\n\n[${custodian}]\n${lines.join('\n')}\n`;
}
