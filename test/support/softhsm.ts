// SoftHSM for tests: real tokens of its own for each, in a directory that the process and its children share.

import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Custodian } from '../../src/custody/custodian.ts';
import { createPkcs11Custodian, type Pkcs11Options } from '../../src/custody/pkcs11.ts';
import type { CustodyHome } from './custodians.ts';
import { needs, optional } from './require.ts';

/** Where Debian, Fedora and Homebrew put it. */
const modules = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so',
  '/usr/local/lib/softhsm/libsofthsm2.so',
  '/opt/homebrew/lib/softhsm/libsofthsm2.so',
];
export const softhsmModule = modules.find((path) => existsSync(path)) ?? modules[0]!;

const root = join(import.meta.dirname, '../..');
export const securityOfficerPin = '87654321';

/** For `skip` of node:test; builds the addon of pkcs11js where SoftHSM is here. */
export function needsSoftHsm(): string | false {
  const reason = needs('softhsm2', 'c++', 'make', 'python3');
  if (reason !== false) return reason;
  const { status } = spawnSync(join(root, 'scripts/build-pkcs11'), { stdio: ['ignore', 'ignore', 'inherit'] });
  return optional('the addon of pkcs11js', status === 0, 'scripts/build-pkcs11 says why');
}

/** The directory of all tokens of this process; SoftHSM is told of it by a variable that its children inherit. */
let directory: string | null = null;

function place(): string {
  if (directory === null) {
    const made = mkdtempSync(join(tmpdir(), 'fleetroot-softhsm-'));
    mkdirSync(join(made, 'tokens'));
    process.env['SOFTHSM2_CONF'] = writeConfiguration(made, '');
    process.once('exit', () => rmSync(made, { recursive: true, force: true }));
    directory = made;
  }
  return directory;
}

function writeConfiguration(at: string, more: string): string {
  const file = join(at, 'softhsm2.conf');
  const lines = [
    `directories.tokendir = ${join(at, 'tokens')}`,
    'objectstore.backend = file',
    'log.level = ERROR',
    more,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

export interface TokenHome extends CustodyHome {
  readonly label: string;
  readonly pin: string;
  readonly pinFile: string;
  /** What the server's configuration says of it. */
  readonly settings: Pick<Pkcs11Options, 'module' | 'tokenLabel' | 'tokenSerial' | 'pinFile' | 'pinVariable'>;
  open(options?: Partial<Pkcs11Options>): Promise<Custodian>;
  /** Runs pkcs11-tool on the token, logged in where a PIN is given. */
  tool(...args: string[]): string;
  /** The token's serial number, as SoftHSM shows it now. */
  serial(): string;
  takeAway(): void;
  bringBack(): void;
  /** Makes it anew under its name, as by somebody's mistake: every key on it has ended. */
  initialiseAnew(): void;
}

let made = 0;

/** A token, gone with its keys when disposed of. */
export function tokenHome(): TokenHome {
  const at = place();
  made += 1;
  const label = `fleetroot-${process.pid}-${made}`;
  const pin = `pin-${made}-123456`;
  const pinFile = join(at, `${label}.pin`);
  writeFileSync(pinFile, `${pin}\n`, { mode: 0o600 });
  const settings = { module: softhsmModule, tokenLabel: label, tokenSerial: null, pinFile, pinVariable: null };
  const opened: Custodian[] = [];
  let tokenDirectory = initialise(at, label, pin);
  const away = join(at, `${label}.away`);

  return {
    label,
    pin,
    pinFile,
    settings,
    async open(options = {}) {
      // Time-outs are the custodian's business: on a busy machine an RSA-4096 key takes its time.
      const custodian = createPkcs11Custodian({
        ...settings,
        sessions: 4,
        timeout: 60_000,
        withheldVariables: [],
        ...options,
      });
      opened.push(custodian);
      return custodian;
    },
    tool: (...args) =>
      execFileSync('pkcs11-tool', ['--module', softhsmModule, '--token-label', label, ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    serial: () => serialOf(tokenDirectory),
    takeAway: () => renameSync(tokenDirectory, away),
    bringBack: () => renameSync(away, tokenDirectory),
    initialiseAnew() {
      rmSync(tokenDirectory, { recursive: true });
      tokenDirectory = initialise(at, label, pin);
    },
    async [Symbol.asyncDispose]() {
      for (const custodian of opened) await custodian[Symbol.asyncDispose]();
      rmSync(tokenDirectory, { recursive: true, force: true });
      rmSync(away, { recursive: true, force: true });
    },
  };
}

/** State and parent of a process, as Linux tells them; null of one that has ended. */
export function stateOf(pid: number): { state: string; parent: number } | null {
  try {
    // pid (comm) state ppid …, and comm may hold anything.
    const [state, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return state === 'Z' ? null : { state: state!, parent: Number(parent) };
  } catch {
    return null;
  }
}

/** The processes of ours that hold a token. */
export function holders(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => stateOf(pid)?.parent === process.pid)
    .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('pkcs11-process'));
}

/** The names of the environment variables that a process was started with. */
export function variablesOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/environ`, 'utf8')
    .split('\0')
    .map((variable) => variable.split('=')[0]!);
}

/** Makes a token; gives its directory. */
function initialise(at: string, label: string, pin: string): string {
  const tokens = join(at, 'tokens');
  const before = new Set(readdirSync(tokens));
  const args = ['--init-token', '--free', '--label', label, '--so-pin', securityOfficerPin, '--pin', pin];
  execFileSync('softhsm2-util', args, { stdio: 'pipe' });
  return join(
    tokens,
    readdirSync(tokens).find((name) => !before.has(name))!,
  );
}

/** SoftHSM's serial number is the end of the directory's UUID. */
function serialOf(tokenDirectory: string): string {
  return tokenDirectory.slice(-17).replace('-', '');
}
