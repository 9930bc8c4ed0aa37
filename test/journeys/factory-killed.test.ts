// The power fails while a line certifies, again and again: every key counts once, and who has an answer has what is recorded.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import https from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { actions } from '../../src/factory/actions.ts';
import { parseCertificate, parseCertificates } from '../../src/x509/certificate.ts';
import { startLine } from '../support/factory.ts';
import { requestFor } from '../support/factory-batch.ts';
import { addStation, FactoryProcess, openService, openWindow } from '../support/factory-service.ts';

/** Each kill costs the start of a service: fewer where nobody asked for everything. */
const kills = process.env['FLEETROOT_TEST_REQUIRE'] === 'all' ? 200 : 20;
const devicesAtOnce = 6;
/** An enrolment takes some milliseconds, its handshake some more: kills are spread over both. */
const longestWait = 60;

interface Reply {
  readonly status: number;
  readonly body: string;
}

/** A station's calls, each on a connection of its own. */
class Station {
  readonly #tls: https.RequestOptions;

  constructor(tls: https.RequestOptions) {
    this.#tls = tls;
  }

  /** Null where nobody answered. */
  sign(url: string, request: string): Promise<Reply | null> {
    return new Promise((resolve) => {
      const asked = https.request(`${url}/sign`, { ...this.#tls, agent: false, method: 'POST' }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (piece: string) => (body += piece));
        response.on('end', () => resolve(response.complete ? { status: response.statusCode ?? 0, body } : null));
        response.on('error', () => resolve(null));
      });
      asked.on('error', () => resolve(null)).end(request);
    });
  }
}

test(`a line killed ${kills} times in the middle of certifying`, { timeout: 20 * 60_000 }, async () => {
  const devices = kills * devicesAtOnce;
  await using line = await startLine({ quota: devices });
  const station = await (async () => {
    await using open = await openService(line);
    const { station: dir } = await addStation(line, open.factory, 'bench-1');
    await openWindow(open.factory, 'order-1', devices);
    const read = (name: string) => readFile(join(dir!, name));
    return new Station({
      cert: await read('station.crt'),
      key: await read('station.key'),
      ca: await readFile(join(line.dir, 'station-ca.crt')),
    });
  })();

  const requests = new Map<string, string>();
  const answered = new Map<string, string>();
  let interrupted = 0;
  let service = await FactoryProcess.start(line.dir);
  // Node writes its compile cache when it ends in order: so many starts are worth that.
  await service.stop();
  service = await FactoryProcess.start(line.dir);
  for (let round = 0; round < kills; round += 1) {
    const asked = Array.from({ length: devicesAtOnce }, (_, index) => `device-${round}-${index}`);
    for (const id of asked) requests.set(id, requestFor(id));
    const replies = asked.map((id) => station.sign(service.url, requests.get(id)!));
    const dying = pause((round / kills) * longestWait).then(() => service.kill());
    for (const [index, reply] of (await Promise.all(replies)).entries()) {
      if (reply === null) interrupted += 1;
      else {
        assert.equal(reply.status, 200, reply.body);
        answered.set(asked[index] as string, reply.body);
      }
    }
    await dying;

    service = await FactoryProcess.start(line.dir);
    const again = await Promise.all(asked.map((id) => station.sign(service.url, requests.get(id)!)));
    for (const [index, reply] of again.entries()) {
      const id = asked[index] as string;
      assert.ok(reply?.status === 200, `${id} is stuck: ${reply?.body}`);
      assert.equal(reply.body, answered.get(id) ?? reply.body, `${id} has another certificate than it was given`);
      answered.set(id, reply.body);
    }
  }
  const more = await station.sign(service.url, requestFor('one-more'));
  assert.ok(more?.status === 403, String(more?.body));
  assert.match(more.body, /quota_exhausted/);
  await service.kill();
  assert.ok(interrupted > 0, 'no kill met an enrolment');

  await using factory = await line.open();
  const rows = await factory.records.read.selectFrom('certificates').select(['device_id', 'state', 'der']).execute();
  assert.equal(rows.length, devices, 'each device has one certificate, and there is no other');
  for (const { device_id, state, der } of rows) {
    assert.equal(state, 'made');
    const [leaf] = parseCertificates(Buffer.from(answered.get(device_id)!));
    assert.equal(leaf?.tbsSha256, parseCertificate(der).tbsSha256);
  }
  const { fault, made, withdrawn } = await actions.verifyLog(factory, { heads: '' });
  assert.deepEqual({ fault, made, withdrawn }, { fault: null, made: devices, withdrawn: 0 });
  const [mandate] = await actions.listMandates(factory, {});
  assert.deepEqual([mandate?.used, mandate?.left], [devices, 0]);
});
