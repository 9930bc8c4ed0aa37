// The power fails while a line certifies, again and again: every key counts once, and who has an answer has what is recorded.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import https from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { actions } from '../../src/factory/actions.ts';
import { certificateToPem, parseCertificate, parseCertificates } from '../../src/x509/certificate.ts';
import { startLine, type TestLine } from '../support/factory.ts';
import type { Given } from '../support/factory-child.ts';
import { addStation as addStationOf, openWindow as openWindowOf } from '../support/factory-enrolment.ts';
import { requestFor } from '../support/factory-batch.ts';
import { deaths } from '../support/require.ts';
import { addStation, FactoryProcess, openService, openWindow } from '../support/factory-service.ts';

/** With those of batches they are 200. */
const kills = { service: deaths(20), core: deaths(160) };
const devicesAtOnce = 6;
/** An enrolment takes some milliseconds, its handshake some more: kills are spread over both. */
const longestWait = 60;

/** Whoever can be asked, and be killed. */
interface Program {
  /** Null where nobody answered; else the certificate, PEM, or why there is none. */
  ask(request: string): Promise<{ certificate: string } | { refused: string } | null>;
  kill(): Promise<void>;
}

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

/** Kills programs in the middle of certifying, and holds what they gave against what is recorded. */
async function killAndCompare(line: TestLine, rounds: number, start: () => Promise<Program>): Promise<void> {
  await using running = new AsyncDisposableStack();
  const devices = rounds * devicesAtOnce;
  const requests = new Map<string, string>();
  const answered = new Map<string, string>();
  let program = await start();
  // Where something does not come true, nothing is left running.
  running.defer(() => program.kill());
  for (let round = 0; round < rounds; round += 1) {
    const asked = Array.from({ length: devicesAtOnce }, (_, index) => `device-${round}-${index}`);
    for (const id of asked) requests.set(id, requestFor(id));
    const replies = asked.map((id) => program.ask(requests.get(id)!));
    const dying = pause((round / rounds) * longestWait).then(() => program.kill());
    for (const [index, reply] of (await Promise.all(replies)).entries()) {
      if (reply !== null) {
        assert.ok('certificate' in reply, JSON.stringify(reply));
        answered.set(asked[index] as string, reply.certificate);
      }
    }
    await dying;

    program = await start();
    const again = await Promise.all(asked.map((id) => program.ask(requests.get(id)!)));
    for (const [index, reply] of again.entries()) {
      const id = asked[index] as string;
      assert.ok(reply !== null && 'certificate' in reply, `${id} is stuck: ${JSON.stringify(reply)}`);
      assert.equal(reply.certificate, answered.get(id) ?? reply.certificate, `${id} has another than it was given`);
      answered.set(id, reply.certificate);
    }
  }
  const more = await program.ask(requestFor('one-more'));
  assert.ok(more !== null && 'refused' in more, JSON.stringify(more));
  assert.match(more.refused, /quota_exhausted/);
  await program.kill();

  await using factory = await line.open();
  const rows = await factory.records.read.selectFrom('certificates').select(['device_id', 'state', 'der']).execute();
  assert.equal(rows.length, devices, 'each device has one certificate, and there is no other');
  for (const { device_id, state, der } of rows) {
    assert.equal(state, 'made');
    const [leaf] = parseCertificates(Buffer.from(answered.get(device_id)!));
    assert.equal(leaf?.tbsSha256, parseCertificate(der).tbsSha256);
  }
  const abandoned = await actions.listLog(factory, { action: 'certificate.abandon', object: null, limit: 1 });
  if (kills.core === 160)
    assert.equal(abandoned.length, 1, 'no kill met an enrolment between its record and its signature');
  const { fault, made, withdrawn } = await actions.verifyLog(factory, { heads: '' });
  assert.deepEqual({ fault, made, withdrawn }, { fault: null, made: devices, withdrawn: 0 });
  const [mandate] = await actions.listMandates(factory, {});
  assert.deepEqual([mandate?.used, mandate?.left], [devices, 0]);
}

test(`a service killed ${kills.service} times in the middle of certifying`, { timeout: 20 * 60_000 }, async () => {
  const devices = kills.service * devicesAtOnce;
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
  // Node writes its compile cache when it ends in order: so many starts are worth that.
  await (await FactoryProcess.start(line.dir)).stop();
  await killAndCompare(line, kills.service, async () => {
    const service = await FactoryProcess.start(line.dir);
    return {
      async ask(request) {
        const reply = await station.sign(service.url, request);
        if (reply === null) return null;
        return reply.status === 200 ? { certificate: reply.body } : { refused: reply.body };
      },
      kill: () => service.kill(),
    };
  });
});

test(`what certifies killed ${kills.core} times, with nothing around it`, { timeout: 20 * 60_000 }, async () => {
  const devices = kills.core * devicesAtOnce;
  await using line = await startLine({ quota: devices });
  {
    await using factory = await line.open();
    await addStationOf(factory, 'bench-1');
    await openWindowOf(factory, { quota: devices });
  }
  // As above.
  await (await startChild(line.dir)).end();
  await killAndCompare(line, kills.core, () => startChild(line.dir));
});

/** Starts factory-child.ts. */
async function startChild(dir: string): Promise<Program & { end(): Promise<void> }> {
  const child = fork(join(import.meta.dirname, '../support/factory-child.ts'), [dir, 'bench-1']);
  const ended = once(child, 'exit');
  const waiting = new Map<number, (given: Given | null) => void>();
  child.on('message', (given: Given | 'open') => given !== 'open' && waiting.get(given.number)?.(given));
  void ended.then(() => waiting.forEach((answer) => answer(null)));
  await Promise.race([once(child, 'message'), ended.then(() => Promise.reject(new Error('it did not open')))]);
  return {
    async ask(request) {
      const number = waiting.size;
      const given = await new Promise<Given | null>((resolve) => {
        waiting.set(number, resolve);
        child.send({ number, request }, (error) => error && resolve(null));
      });
      if (given === null || 'refused' in given) return given;
      return { certificate: certificateToPem(Buffer.from(given.certificate, 'base64')) };
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
    async end() {
      child.disconnect();
      await ended;
    },
  };
}
