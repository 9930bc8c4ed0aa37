// Nodes on one PostgreSQL, all on this machine and on all its cores.

import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { asked, startPostgres } from '../test/support/postgres-server.ts';
import { Fleetroot } from './fleetroot.ts';
import { cpuSecondsOf } from './pinned.ts';

/** Some nodes, and the database that they share. */
export interface Cluster {
  readonly nodes: readonly Fleetroot[];
  /** CPU-seconds of PostgreSQL so far, of all its processes that still run. */
  readonly databaseCpuSeconds: () => number;
  readonly databaseBytes: () => Promise<number>;
}

/** Starts them, each with a directory of its own in `dir`; they end with `held`. */
export async function startCluster(held: AsyncDisposableStack, dir: string, count: number): Promise<Cluster> {
  const postgres = held.use(await startPostgres());
  await asked(postgres.url, 'create database fleet');
  const url = new URL(postgres.url);
  url.pathname = '/fleet';
  const masterKey = join(dir, 'master.key');
  writeFileSync(masterKey, randomBytes(32).toString('base64'), { mode: 0o600 });
  const nodes: Fleetroot[] = [];
  for (let n = 1; n <= count; n += 1) {
    const home = join(dir, `node-${n}`);
    mkdirSync(home);
    const env = {
      FLEETROOT_DATABASE_URL: url.href,
      FLEETROOT_CUSTODY_MASTER_KEY_FILE: masterKey,
      FLEETROOT_NODE_NAME: `node-${n}`,
      FLEETROOT_GATEWAY_IDLE_TIMEOUT: '1h',
    };
    nodes.push(held.use(await Fleetroot.start(home, env, `0-${cpus().length - 1}`)));
  }
  const client = new pg.Client(url.href);
  await client.connect();
  held.defer(() => client.end());
  const ask = async (what: string) =>
    Number((await client.query<{ value: string }>(`select ${what} as value`)).rows[0]!.value);
  const postmaster = parentOf(await ask('pg_backend_pid()'));
  return {
    nodes,
    databaseCpuSeconds: () => cpuSecondsOf(postmaster),
    databaseBytes: () => ask(`pg_database_size('fleet')`),
  };
}

/** The process that has started another one: field 4 of its stat, proc(5). */
function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}
