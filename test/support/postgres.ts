// Databases on a real PostgreSQL for tests: in one server for all files of a run, else in one of the file's own.

import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import pg from 'pg';
import { migrate } from '../../src/registry/migrate.ts';
import { migrations } from '../../src/registry/migrations.ts';
import { overClient, postgresTypes } from '../../src/registry/postgres.ts';
import type { Tables } from '../../src/registry/tables.ts';
import { asked, type PostgresServer, startPostgres } from './postgres-server.ts';

/**
 * Names the server that all files of a run share: its URL, or the socket that gives it (test/run.ts). With a URL the
 * suites run on any PostgreSQL, whose user may make databases.
 */
const sharedVariable = 'FLEETROOT_TEST_POSTGRES';

let own: Promise<string> | null = null;

/** The URL of the server, which is started where nobody has asked for it before. */
function serverUrl(): Promise<string> {
  return (own ??= (async () => {
    const shared = process.env[sharedVariable];
    if (shared === undefined) return (await startPostgres()).url;
    if (/^postgres(ql)?:/.test(shared)) return shared;
    return text(connect(shared));
  })());
}

/** Has the files that are run by this process share one server, which is started when the first of them asks for it. */
export async function sharePostgres(): Promise<AsyncDisposable> {
  if (process.env[sharedVariable] !== undefined) return new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'fleetroot-run-'));
  const socket = join(directory, 'postgres');
  let server: Promise<PostgresServer> | null = null;
  const listening = createServer((connection) => {
    connection.on('error', () => undefined);
    server ??= startPostgres({ settings: { max_connections: '1000' } });
    server.then(
      ({ url }) => connection.end(url),
      (error: Error) => connection.destroy(error),
    );
  }).listen(socket);
  await once(listening, 'listening');
  process.env[sharedVariable] = socket;
  return {
    async [Symbol.asyncDispose]() {
      listening.close();
      await (await server)?.[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A database of a test's own, gone when disposed of: empty, or with the registry's tables. */
export async function newDatabase({ migrated = false } = {}): Promise<{ url: string } & AsyncDisposable> {
  const server = await serverUrl();
  const name = `t_${randomUUID().replaceAll('-', '')}`;
  await asked(server, `create database ${name} template ${migrated ? await template(server) : 'template0'}`);
  return {
    url: databaseIn(server, name),
    [Symbol.asyncDispose]: () => asked(server, `drop database if exists ${name} with (force)`),
  };
}

function databaseIn(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

let made: Promise<string> | null = null;

/** The database that is copied where one with the registry's tables is wanted: made once in each server. */
function template(server: string): Promise<string> {
  return (made ??= makeTemplate(server));
}

async function makeTemplate(server: string): Promise<string> {
  const name = `migrated_${digestOfMigrations()}`;
  const client = new pg.Client(server);
  await client.connect();
  try {
    await client.query(`select pg_advisory_lock(hashtext('${name}'))`);
    const { rows } = await client.query('select 1 from pg_database where datname = $1', [name]);
    if (rows.length === 0) {
      await client.query(`drop database if exists ${name}_new with (force)`);
      await client.query(`create database ${name}_new template template0`);
      await fill(databaseIn(server, `${name}_new`));
      await client.query(`alter database ${name}_new rename to ${name}`);
    }
  } finally {
    await client.end();
  }
  return name;
}

async function fill(url: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await migrate(overClient<Tables>(client), postgresTypes, migrations, Date.now());
  } finally {
    await client.end();
  }
}

/** Tells a server's template from one that was made with other migrations. */
function digestOfMigrations(): string {
  const registry = join(import.meta.dirname, '../../src/registry');
  const files = [
    'migrate.ts',
    'postgres.ts',
    ...readdirSync(join(registry, 'migrations')).map((file) => `migrations/${file}`),
  ];
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(join(registry, file)));
  return hash.digest('hex').slice(0, 16);
}
