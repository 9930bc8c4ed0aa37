// Webhooks: a receiver that fails, hangs and comes back; signatures; a server that is killed; another one's webhooks.

import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { type Asked, BackEnd } from '../support/back-end.ts';
import { eventually } from '../support/eventually.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { operatorCall } from '../support/operator-call.ts';
import { temporaryDirectory } from '../support/process.ts';
import { ServeProcess } from '../support/serve.ts';

const minute = 60_000;
const answering =
  (status: number): RequestListener =>
  (_, response) =>
    void response.writeHead(status).end();
const hanging: RequestListener = () => {};

const read = ({ body }: Asked) => JSON.parse(body.toString('utf8'));
const idOf = ({ headers }: Asked) => headers['webhook-id'] as string;

describe('a webhook', () => {
  let fleetroot: Fleetroot;
  let receiver: BackEnd;
  /** How far the server's clock is ahead. */
  let ahead = 0;

  beforeEach(async () => {
    ahead = 0;
    receiver = await BackEnd.open();
    fleetroot = await Fleetroot.start({
      options: { 'outbound.allow': ['127.0.0.1'] },
      clock: () => Date.now() + ahead,
    });
    await fleetroot.json('account', 'create', 'acme');
  });
  afterEach(async () => {
    await receiver[Symbol.asyncDispose]();
    await fleetroot[Symbol.asyncDispose]();
  });

  const call = async (method: string, path: string, body?: unknown) => {
    const answer = await operatorCall(fleetroot.dir, method, path, { body });
    return { ...answer.json, httpStatus: answer.status };
  };
  const create = (more: object = {}, url = `http://127.0.0.1:${receiver.port}/hook?x=1`) =>
    call('POST', '/accounts/acme/webhooks', { url, ...more });
  /** Something happens in the account. */
  const happen = async (name: string): Promise<unknown> =>
    fleetroot.json('credentials', 'create', 'acme', '-o', fleetroot.file(`${name}.zip`), '--max-uses', '1');
  const happenToTrust = () => call('POST', '/accounts/acme/fleet-root-cas/generated/close');
  const deliveries = async (id: string, state = ''): Promise<any[]> =>
    (await operatorCall(fleetroot.dir, 'GET', `/accounts/acme/webhooks/${id}/deliveries${state && `?state=${state}`}`))
      .json;

  test('is sent what happens from then on, signed so that an independent library believes it', async () => {
    const { id, secret, httpStatus } = await create({ types: ['fleet_root_ca.changed'], description: 'the ERP' });
    assert.equal(httpStatus, 201);
    assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
    await happen('unwished');
    await happenToTrust();
    const asked = await eventually(() => receiver.asked[0] ?? null);
    const message: any = new Webhook(secret).verify(asked.body, asked.headers as Record<string, string>);
    assert.equal(message.type, 'fleet_root_ca.changed');
    assert.deepEqual([message.data.change, message.data.state], ['state', 'closed']);
    const { id: account } = await call('GET', '/accounts/acme');
    assert.equal(message.account, account);
    assert.equal([asked.method, asked.url, asked.headers['content-type']].join(' '), 'POST /hook?x=1 application/json');
    assert.throws(() => new Webhook('whsec_AAAA').verify(asked.body, asked.headers as Record<string, string>));
    const [delivery] = await eventually(async () => (await deliveries(id, 'delivered')).length === 1 && deliveries(id));
    assert.deepEqual([delivery.id, delivery.attempts, delivery.status], [idOf(asked), 1, 200]);
    assert.equal(receiver.asked.length, 1);
    // The secret is told once: nothing that is asked later has it.
    for (const path of ['/accounts/acme/webhooks', `/accounts/acme/webhooks/${id}`, '/events', '/audit']) {
      assert.ok(!(await operatorCall(fleetroot.dir, 'GET', path)).text.includes(secret.slice(6)), path);
    }
  });

  test('is tried again, later and later with the same ID, until the receiver comes back', async () => {
    receiver.answer = answering(500);
    const { id } = await create();
    await happenToTrust();
    const attempts = async (count: number) => {
      await eventually(() => receiver.asked.length === count);
      return eventually(async () => {
        const [delivery] = await deliveries(id);
        return delivery?.attempts === count && delivery.status !== null && delivery;
      });
    };
    const waits: number[] = [];
    for (let count = 1; count <= 3; count += 1) {
      const { state, status, fault, next_attempt_at } = await attempts(count);
      assert.deepEqual([state, status], ['pending', 500]);
      assert.match(fault, /status 500/);
      const next: number = await eventually(async () => {
        const at = Date.parse((await deliveries(id))[0].next_attempt_at ?? next_attempt_at);
        return at > Date.now() + ahead && at;
      });
      waits.push(next - (Date.now() + ahead));
      const webhook = await call('GET', `/accounts/acme/webhooks/${id}`);
      assert.ok(webhook.failing_since !== null);
      if (count === 3) receiver.answer = answering(204);
      ahead = next - Date.now() + 1;
    }
    assert.ok(waits[0]! < waits[1]! && waits[1]! < waits[2]!, `${waits}`);
    await eventually(async () => (await deliveries(id, 'delivered')).length === 1);
    assert.equal(new Set(receiver.asked.map(idOf)).size, 1);
    assert.equal(new Set(receiver.asked.map(({ body }) => body.toString())).size, 1);
    assert.equal((await call('GET', `/accounts/acme/webhooks/${id}`)).failing_since, null);
    // Its time is that of the attempt: a receiver with a right clock believes it.
    const { headers } = receiver.last;
    assert.ok(Math.abs(Number(headers['webhook-timestamp']) * 1000 - (Date.now() + ahead)) < minute);
  });

  test('is given up after a day, and sent once more when it is asked for', async () => {
    receiver.answer = answering(503);
    const { id } = await create();
    await happenToTrust();
    await eventually(async () => (await deliveries(id))[0]?.status === 503);
    while ((await deliveries(id, 'failed')).length === 0) {
      const before = (await deliveries(id))[0].attempts;
      ahead += 5 * 60 * minute;
      await eventually(
        async () => (await deliveries(id))[0].attempts > before || (await deliveries(id, 'failed')).length > 0,
      );
      await eventually(
        async () => (await deliveries(id))[0].state === 'failed' || (await deliveries(id))[0].next_attempt_at !== null,
      );
    }
    assert.ok(ahead >= 20 * 60 * minute && ahead <= 35 * 60 * minute, `${ahead / minute} minutes`);
    const [failed] = await deliveries(id);
    receiver.answer = answering(200);
    const again = await call('POST', `/accounts/acme/webhooks/${id}/deliveries/${failed.id}/redeliver`);
    assert.equal(again.id, failed.id);
    await eventually(async () => (await deliveries(id, 'delivered')).length === 1);
    assert.equal(idOf(receiver.last), failed.id);
  });

  test('that hangs keeps no other one waiting', async () => {
    receiver.answer = hanging;
    await create();
    await using other = await BackEnd.open();
    await create({}, `http://127.0.0.1:${other.port}/`);
    await happenToTrust();
    await eventually(() => receiver.asked.length === 1);
    await call('POST', '/accounts/acme/fleet-root-cas/generated/activate');
    await eventually(() => other.asked.length === 2);
    assert.deepEqual(new Set(other.asked.map((asked) => read(asked).data.state)), new Set(['active', 'closed']));
  });

  test('whose receiver goes on answering for ever, or with a redirect, gets neither our time nor our company', async () => {
    await using elsewhere = await BackEnd.open();
    receiver.answer = (_, response) => {
      response.writeHead(302, { location: `http://127.0.0.1:${elsewhere.port}/` }).end();
    };
    const { id } = await create();
    await happenToTrust();
    await eventually(async () => (await deliveries(id))[0]?.status === 302);
    assert.deepEqual(elsewhere.asked, []);
    receiver.answer = (_, response) => {
      response.writeHead(200);
      const going = setInterval(() => response.write('x'.repeat(1024)), 1);
      response.on('close', () => clearInterval(going));
    };
    const [{ id: delivery }] = await deliveries(id);
    await call('POST', `/accounts/acme/webhooks/${id}/deliveries/${delivery}/redeliver`);
    await eventually(async () => (await deliveries(id, 'delivered')).length === 1);
  });

  test('is sent nothing more once its receiver says that it is gone', async () => {
    receiver.answer = answering(410);
    const { id } = await create();
    await happenToTrust();
    const gone = await eventually(async () => {
      const webhook = await call('GET', `/accounts/acme/webhooks/${id}`);
      return webhook.state === 'disabled' && webhook;
    });
    assert.match(gone.last_fault, /410/);
    const [entry] = await fleetroot.json('audit', 'list', 'acme', '--action', 'webhook.set');
    assert.deepEqual([entry.by.kind, entry.before.state, entry.after.state], ['server', 'active', 'disabled']);
    assert.equal((await deliveries(id))[0].state, 'failed');
    assert.equal((await call('POST', `/accounts/acme/webhooks/${id}/test`)).code, 'conflict');
    receiver.answer = answering(200);
    await call('POST', '/accounts/acme/fleet-root-cas/generated/activate');
    await call('PATCH', `/accounts/acme/webhooks/${id}`, { state: 'active' });
    await call('POST', `/accounts/acme/webhooks/${id}/test`);
    await eventually(() => receiver.asked.length === 2);
    assert.equal(read(receiver.last).type, 'webhook.test');
  });

  test('is signed by the old secret and the new for a day, then by the new alone', async () => {
    const { id, secret } = await create();
    const renewed = await call('POST', `/accounts/acme/webhooks/${id}/rotate-secret`);
    assert.notEqual(renewed.secret, secret);
    const test = async () => {
      const count = receiver.asked.length;
      await call('POST', `/accounts/acme/webhooks/${id}/test`);
      return eventually(() => receiver.asked[count] ?? null);
    };
    const verify = (with_: string, { body, headers }: Asked) =>
      new Webhook(with_).sign(
        idOf({ headers } as Asked),
        new Date(Number(headers['webhook-timestamp']) * 1000),
        body.toString(),
      );
    const both = await test();
    const signatures = String(both.headers['webhook-signature']).split(' ');
    assert.deepEqual(signatures, [verify(renewed.secret, both), verify(secret, both)]);
    ahead = 24 * 60 * minute + 1;
    const later = await test();
    assert.equal(later.headers['webhook-signature'], verify(renewed.secret, later));
  });

  test('is read by nobody of another account, and is known by the commands', async () => {
    await fleetroot.json('account', 'create', 'other');
    const { id } = await create();
    assert.equal((await call('GET', `/accounts/other/webhooks/${id}`)).code, 'not_found');
    assert.equal((await call('DELETE', `/accounts/other/webhooks/${id}`)).code, 'not_found');
    assert.equal((await call('GET', `/webhooks/${id}`)).code, 'not_found');
    const ofServer = await fleetroot.json(
      'webhook',
      'create',
      '--to',
      `http://127.0.0.1:${receiver.port}/all`,
      '--type',
      'device.refused',
    );
    assert.deepEqual(
      (await fleetroot.json('webhook', 'list')).map((each: any) => each.id),
      [ofServer.id],
    );
    assert.equal((await fleetroot.json('webhook', 'show', 'acme', id)).id, id);
    const sent = await fleetroot.json('webhook', 'test', 'acme', id);
    await eventually(
      async () => (await fleetroot.json('webhook', 'deliveries', 'acme', id, '--state', 'delivered')).length === 1,
    );
    await fleetroot.json('webhook', 'redeliver', 'acme', id, '--delivery', sent.id);
    await eventually(() => receiver.asked.length === 2);
    assert.match((await fleetroot.json('webhook', 'rotate-secret', 'acme', id)).secret, /^whsec_/);
    await fleetroot.json('webhook', 'set', 'acme', id, '--state', 'disabled');
    await fleetroot.json('webhook', 'delete', 'acme', id);
    assert.deepEqual(await fleetroot.json('webhook', 'list', 'acme'), []);
  });

  test('goes on where it was after a new start, and its secret is sealed anew with the master key', async () => {
    receiver.answer = answering(500);
    const { id, secret } = await create();
    await happenToTrust();
    await eventually(async () => (await deliveries(id))[0]?.status === 500);
    await fleetroot.json('custody', 'rotate-master', '--yes');
    receiver.answer = answering(200);
    await fleetroot.restart(async () => {
      ahead += 10 * minute;
    });
    await eventually(async () => (await deliveries(id, 'delivered')).length === 1);
    const { headers, body } = receiver.last;
    const at = new Date(Number(headers['webhook-timestamp']) * 1000);
    assert.equal(headers['webhook-signature'], new Webhook(secret).sign(idOf(receiver.last), at, body.toString()));
  });
});

test('leads nowhere inside unless the setting says so', async () => {
  await using fleetroot = await Fleetroot.start();
  await using receiver = await BackEnd.open();
  await fleetroot.json('account', 'create', 'acme');
  const urls = ['https://127.0.0.1/', 'https://[::ffff:127.0.0.1]/', 'https://169.254.169.254/', 'https://localhost/'];
  for (const url of [...urls, `http://127.0.0.1:${receiver.port}/`]) {
    for (const path of ['/accounts/acme/webhooks', '/webhooks']) {
      const { status, json } = await operatorCall(fleetroot.dir, 'POST', path, { body: { url } });
      assert.deepEqual([status, json.code], [403, 'destination_not_allowed'], url);
    }
  }
  const wrong = [
    {},
    { url: 'x' },
    { url: 'https://a.example/', types: ['nothing'] },
    { url: 'https://a.example/', ca: 'x' },
  ];
  for (const body of [
    ...wrong,
    { url: 'https://a.example/', types: [] },
    { url: `https://a.example/${'x'.repeat(3000)}` },
  ]) {
    const { json } = await operatorCall(fleetroot.dir, 'POST', '/webhooks', { body });
    assert.equal(json.code, 'invalid_request', JSON.stringify(body).slice(0, 80));
  }
  // A name that means nothing when it is set is looked at when it is connected to; which names there are is not told.
  const { json: named } = await operatorCall(fleetroot.dir, 'POST', '/webhooks', {
    body: { url: 'https://nowhere.invalid/' },
  });
  await operatorCall(fleetroot.dir, 'POST', `/webhooks/${named.id}/test`);
  const [delivery] = await eventually(async () => {
    const { json } = await operatorCall(fleetroot.dir, 'GET', `/webhooks/${named.id}/deliveries`);
    return json[0]?.fault != null && json;
  });
  assert.match(delivery.fault, /does not connect to nowhere\.invalid/);
  assert.deepEqual(receiver.asked, []);
});

test('a server that is killed in the middle of a delivery makes it again, with the same ID', async () => {
  await using desk = await temporaryDirectory();
  await using receiver = await BackEnd.open();
  const env = ['FLEETROOT_OUTBOUND_ALLOW', 'FLEETROOT_GATEWAY_PORT'] as const;
  process.env[env[0]] = '127.0.0.1';
  process.env[env[1]] = '0';
  try {
    receiver.answer = hanging;
    const first = await ServeProcess.start(desk.path);
    const call = async (method: string, path: string, body?: unknown) =>
      (await operatorCall(desk.path, method, path, { body })).json;
    const { id } = await call('POST', '/webhooks', { url: `http://127.0.0.1:${receiver.port}/` });
    await call('POST', `/webhooks/${id}/test`);
    await eventually(() => receiver.asked.length === 1);
    await first.kill();
    receiver.answer = answering(200);
    await using _second = await ServeProcess.start(desk.path);
    await eventually(() => receiver.asked.length >= 2);
    assert.equal(idOf(receiver.asked[1]!), idOf(receiver.asked[0]!));
    await eventually(async () => (await call('GET', `/webhooks/${id}/deliveries?state=delivered`)).length >= 1);
  } finally {
    for (const name of env) delete process.env[name];
  }
});
