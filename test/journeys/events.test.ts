// Events as a stream: resumed without loss or repeats, kept apart by account, ended with the login, and many at once.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { operatorCall } from '../support/operator-call.ts';
import { needs } from '../support/require.ts';

interface Told {
  readonly id: string;
  readonly event: string;
  readonly data: any;
}

/** `curl -N` on a stream of events, over the socket of the server or with a token over HTTPS. */
class Curl implements AsyncDisposable {
  readonly child: ChildProcess;
  read = '';

  constructor(args: readonly string[]) {
    this.child = spawn('curl', ['-sN', '-H', 'Accept: text/event-stream', ...args], { stdio: 'pipe' });
    this.child.stdout?.on('data', (part: Buffer) => (this.read += part.toString('utf8')));
  }

  /** The events that were told so far. */
  get told(): Told[] {
    return this.read
      .split('\n\n')
      .slice(0, -1)
      .flatMap((block) => {
        const member = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
        const data = member('data');
        return data === undefined ? [] : [{ id: member('id')!, event: member('event')!, data: JSON.parse(data) }];
      });
  }

  /** Waits until the stream has begun. */
  async begun(): Promise<this> {
    await eventually(() => this.read.startsWith(': '));
    return this;
  }

  get ended(): boolean {
    return this.child.exitCode !== null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.ended) return;
    this.child.kill();
    await once(this.child, 'exit');
  }
}

/** What the server is to carry; where not everything is required, fewer show the same. */
const streams = process.env['FLEETROOT_TEST_REQUIRE'] === 'all' ? 10_000 : 500;
const manyStreams = join(import.meta.dirname, '../support/event-streams-child.ts');

describe('events', { skip: needs('curl') }, () => {
  let fleetroot: Fleetroot;
  before(async () => {
    fleetroot = await Fleetroot.start({ options: { 'events.streams': streams, 'events.streams_each': streams } });
    for (const name of ['acme', 'other']) await fleetroot.json('account', 'create', name);
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  const call = (method: string, path: string, body?: unknown) => operatorCall(fleetroot.dir, method, path, { body });
  const overSocket = (path: string, ...args: string[]) =>
    new Curl(['--unix-socket', join(fleetroot.dir, 'operator.sock'), ...args, `http://localhost/api/v1${path}`]);
  /** Something happens in an account: a Fleet Root CA is closed and active again, twice an event. */
  const happen = async (account: string) => {
    for (const change of ['close', 'activate']) {
      assert.equal((await call('POST', `/accounts/${account}/fleet-root-cas/generated/${change}`)).status, 200);
    }
  };

  test('are told as they happen, each account its own, and all of them to the administrator', async () => {
    await using acme = await overSocket('/accounts/acme/events').begun();
    await using other = await overSocket('/accounts/other/events').begun();
    await using all = await overSocket('/events').begun();
    await using chosen = await overSocket('/accounts/acme/events?types=device.deleted').begun();
    await happen('acme');
    await eventually(() => acme.told.length === 2 && all.told.length === 2);
    await happen('other');
    await eventually(() => other.told.length === 2 && all.told.length === 4);
    assert.deepEqual(
      acme.told.map(({ event, data }) => [event, data.data.state]),
      [
        ['fleet_root_ca.changed', 'closed'],
        ['fleet_root_ca.changed', 'active'],
      ],
    );
    const accountOf = async (name: string) => (await call('GET', `/accounts/${name}`)).json.id;
    assert.ok(acme.told.every(({ data }) => data.account !== undefined));
    assert.deepEqual(new Set(acme.told.map(({ data }) => data.account)), new Set([await accountOf('acme')]));
    assert.deepEqual(new Set(other.told.map(({ data }) => data.account)), new Set([await accountOf('other')]));
    assert.deepEqual(chosen.told, []);
    // The number of an event says nothing about how many there are elsewhere, and serves in its own account alone.
    const { status, json } = await call('GET', `/accounts/other/events?after=${acme.told[0]!.id}`);
    assert.deepEqual([status, json.code], [400, 'invalid_request']);
  });

  test('go on after the last that was read, across a new start of the server, without loss and without repeats', async () => {
    await using first = await overSocket('/accounts/acme/events').begun();
    await happen('acme');
    await eventually(() => first.told.length === 2);
    const last = first.told[0]!.id;
    await happen('acme');
    await fleetroot.restart();
    await eventually(() => first.ended);
    await happen('acme');
    await using again = overSocket('/accounts/acme/events', '-H', `Last-Event-ID: ${last}`);
    await eventually(() => again.told.length >= 5);
    await happen('acme');
    await eventually(() => again.told.length >= 7);
    const { json } = await call('GET', `/accounts/acme/events?after=${last}`);
    assert.deepEqual(
      again.told.map(({ id }) => id),
      json.map(({ id }: Told) => id),
    );
    assert.equal(new Set(again.told.map(({ id }) => id)).size, again.told.length);
    assert.ok(again.told.every(({ event }) => event !== 'gap'));
  });

  test('that are gone are told of as a gap, and so is a number that is none of ours', async () => {
    await using stream = overSocket('/accounts/acme/events', '-H', 'Last-Event-ID: AAAAAAAAAAAAAAAAAAAAAA');
    await eventually(() => stream.told.length === 1);
    assert.equal(stream.told[0]!.event, 'gap');
    await happen('acme');
    await eventually(() => stream.told.length === 3);
  });

  test('are listed, the latest first, page by page, and followed by the command line', async () => {
    const { json: latest, headers } = await call('GET', '/accounts/acme/events?limit=2');
    assert.equal(latest.length, 2);
    const [, next] = /<\/api\/v1([^>]+)>; rel="next"/.exec(String(headers['link'])) ?? [];
    const { json: before } = await call('GET', next!);
    const listed = await fleetroot.json('event', 'list', 'acme', '--limit', '4');
    assert.deepEqual([...latest, ...before], listed);
    assert.ok(Date.parse(latest[0].at) >= Date.parse(before.at(-1).at));
    for (const query of ['types=nothing', 'after=x', 'cursor=x', 'limit=0', 'other=1', 'after=x&cursor=x']) {
      assert.equal((await call('GET', `/accounts/acme/events?${query}`)).json.code, 'invalid_request', query);
    }
    for (const query of ['types=nothing', 'after=x', 'limit=3']) {
      const options = ['-o', '/dev/null', '-w', '%{http_code}'];
      await using refused = overSocket(`/accounts/acme/events?${query}`, ...options);
      await eventually(() => refused.ended);
      assert.equal(refused.read, '400', query);
    }
  });

  test("end when the token is revoked with which they are followed, and are no one else's", async () => {
    const { token, id } = await fleetroot.json(
      'token',
      'create',
      'acme',
      '--role',
      'auditor',
      '--description',
      'follows',
    );
    const port = fleetroot.server.operatorPort;
    const overTls = (path: string, ...args: string[]) =>
      new Curl(['-k', '-H', `Authorization: Bearer ${token}`, ...args, `https://localhost:${port}/api/v1${path}`]);
    await using followed = await overTls('/accounts/acme/events').begun();
    await happen('acme');
    await eventually(() => followed.told.length === 2);
    for (const path of ['/accounts/other/events', '/events']) {
      await using refused = overTls(path, '-o', '/dev/null', '-w', '%{http_code}');
      await eventually(() => refused.ended);
      assert.match(refused.read, /^40[34]$/);
    }
    await fleetroot.json('token', 'revoke', 'acme', id);
    // Within ten seconds, and what eventually() waits.
    await eventually(() => followed.ended).catch(() => eventually(() => followed.ended));
  });

  test('are followed by very many at once, and by no more than may', { timeout: 600_000 }, async () => {
    const socket = join(fleetroot.dir, 'operator.sock');
    const words = [socket, '/api/v1/accounts/other/events', String(streams), 'fleet_root_ca.changed'];
    const child = spawn(process.execPath, [manyStreams, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (part: Buffer) => (said += part.toString('utf8')));
    const says = async (word: string) => {
      while (!said.includes(word)) {
        assert.equal(child.exitCode, null, said);
        await once(child.stdout, 'data');
      }
    };
    try {
      await says('open');
      assert.equal(said, `open ${JSON.stringify([[200, streams]])}\n`);
      await using refused = overSocket('/accounts/other/events', '-o', '/dev/null', '-w', '%{http_code}');
      await eventually(() => refused.ended);
      assert.equal(refused.read, '503');
      await happen('other');
      await says('all have heard');
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    // Their places are free again.
    const again = async () => {
      await using one = overSocket(
        '/accounts/other/events',
        '--max-time',
        '1',
        '-o',
        '/dev/null',
        '-w',
        '%{http_code}',
      );
      await once(one.child, 'exit');
      return one.read;
    };
    while ((await again()) !== '200');
  });
});
