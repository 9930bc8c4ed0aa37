// A PostgreSQL that dies, moves to another machine or is not who it should be: nothing that was answered is lost, nobody is trusted.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { Problem } from '../../src/problem.ts';
import type { Change } from '../../src/registry/changes.ts';
import { serverValue } from '../../src/registry/server-values.ts';
import type { Registry } from '../../src/registry/writer.ts';
import { eventually } from '../support/eventually.ts';
import { Pki } from '../support/pki.ts';
import { openNode } from '../support/postgres-nodes.ts';
import { asked, type PostgresServer, startPostgres } from '../support/postgres-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const value = Buffer.from('remembered');
const remember = (registry: Registry, key: string) => registry.write('rememberServerValue', { key, value });

describe('a PostgreSQL that dies, or is another', () => {
  let held: AsyncDisposableStack;
  let pki: Pki;
  let server: PostgresServer;
  let ca: string;

  before(async () => {
    held = new AsyncDisposableStack();
    pki = held.use(await Pki.open());
    const root = await pki.root('Database CA');
    const { certificate, key } = await root.device('localhost', { extensions: ['subjectAltName=DNS:localhost'] });
    ca = await readFile(root.certificate, 'utf8');
    server = held.use(
      await startPostgres({
        settings: { ssl: 'on' },
        files: {
          'server.crt': await readFile(certificate, 'utf8'),
          'server.key': await readFile(key, 'utf8'),
        },
      }),
    );
  });
  after(() => held.disposeAsync());

  /** A new database of the server. */
  const database = async (name: string) => {
    await asked(server.url, `create database ${name} template template0`);
    const url = new URL(server.url);
    url.pathname = `/${name}`;
    return url.href;
  };

  test('is spoken to by TLS, and trusted where its certificate is of the pinned CA and for the host of the URL', async () => {
    const url = await database('tls');
    const byName = url.replace('127.0.0.1', 'localhost');
    {
      await using node = await openNode(byName, 'node', { tls: true, ca });
      await remember(node, 'key');
    }
    const other = await readFile((await pki.root('Another CA')).certificate, 'utf8');
    for (const [place, settings, says] of [
      [byName, { tls: true, ca: other }, /certificate|signature/],
      [byName, { tls: true, ca: null }, /certificate|signature/],
      [url, { tls: true, ca }, /127\.0\.0\.1/],
    ] as const) {
      await assert.rejects(openNode(place, 'node', settings), (error) => {
        assert.ok(error instanceof Problem && error.code === 'unavailable', String(error));
        assert.match(error.message, says);
        return true;
      });
    }
  });

  test('that is killed under writes and starts again has all that was answered; what waits is written', async () => {
    const url = await database('killed');
    await using one = await openNode(url, 'one', { patience: 60_000 });
    await using other = await openNode(url, 'other', { patience: 60_000 });
    const answered: string[] = [];
    const ending = new AbortController();
    const writing = [one, other].flatMap((node, index) =>
      Array.from({ length: 4 }, async (_, lane) => {
        for (let count = 0; !ending.signal.aborted; count += 1) {
          const key = `${index} ${lane} ${count}`;
          await remember(node, key);
          answered.push(key);
        }
      }),
    );
    const more = async () => {
      const from = answered.length;
      await eventually(() => answered.length >= from + 40);
    };
    for (let times = 0; times < 3; times += 1) {
      await more();
      await server.kill();
      await server.start();
    }
    await more();
    ending.abort();
    await Promise.all(writing);
    const keys = new Set((await one.read.selectFrom('server').select('key').execute()).map(({ key }) => key));
    assert.deepEqual(
      answered.filter((key) => !keys.has(key)),
      [],
    );
  });

  test('that is away is said to be, by what cannot wait any longer', async () => {
    const url = await database('away');
    await using proxy = await TcpProxy.to(server.port);
    await using node = await openNode(proxy.through(url), 'node', { patience: 300 });
    await remember(node, 'before');
    proxy.cut();
    const away = (error: unknown) => error instanceof Problem && error.code === 'unavailable';
    await assert.rejects(remember(node, 'lost'), away);
    await assert.rejects(serverValue(node.read, 'before'), away);
    await eventually(() => !node.standing.reachable);
    proxy.resume();
    await eventually(() => node.standing.reachable);
    await remember(node, 'after');
    assert.equal(await serverValue(node.read, 'lost'), undefined);
  });

  test('of several hosts the one that is the primary is taken, also another one later, and then nothing that was heard is sure', async () => {
    const url = await database('moving');
    await asked(url, 'select 1');
    {
      await using first = await openNode(url, 'first');
      await remember(first, 'before');
    }
    await using standby = await server.standby();
    const nobody = 1;
    const several = url.replace(
      /127\.0\.0\.1:\d+/,
      `127.0.0.1:${nobody},127.0.0.1:${standby.port},127.0.0.1:${server.port}`,
    );
    await using node = await openNode(several, 'node', { patience: 60_000 });
    const heard: Change[] = [];
    node.changes.listen((change) => heard.push(change));
    assert.ok(await serverValue(node.read, 'before'));
    await server.kill();
    const waiting = remember(node, 'after');
    await asked(standby.url, 'select pg_promote()');
    await waiting;
    assert.ok(await serverValue(node.read, 'after'));
    await eventually(() => heard.some(({ kind }) => kind === 'everything'));
    await server.start();
    await using former = await openNode(url, 'former');
    assert.equal(await serverValue(former.read, 'after'), undefined, 'it was written to the other');
  });

  test('that has lost what was changed last, being restored from a back-up, is noticed', async () => {
    const url = await database('restored');
    await using proxy = await TcpProxy.to(server.port);
    await using node = await openNode(proxy.through(url), 'node');
    const heard: Change[] = [];
    node.changes.listen((change) => heard.push(change));
    proxy.cut();
    await asked(server.url, 'create database restored_copy template restored');
    await asked(server.url, 'drop database restored with (force)');
    await asked(server.url, 'alter database restored_copy rename to restored');
    proxy.resume();
    await eventually(() => heard.some(({ kind }) => kind === 'everything'));
    await remember(node, 'after');
  });

  test('is used by a user who may do nothing but that', async () => {
    await asked(server.url, 'create role fleetroot login');
    await asked(server.url, 'create database ordinary owner fleetroot template template0');
    const url = server.url.replace('postgres@', 'fleetroot@').replace(/\/postgres$/, '/ordinary');
    await using node = await openNode(url, 'node');
    await remember(node, 'key');
    await eventually(() =>
      node.read
        .selectFrom('nodes')
        .selectAll()
        .execute()
        .then((rows) => rows.length === 1),
    );
  });
});
