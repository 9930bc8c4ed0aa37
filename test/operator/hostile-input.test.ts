// Bad input, made from the OpenAPI document: whatever is sent to whichever operation, it is answered, and never with our fault.

import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pino } from 'pino';
import { loadConfig } from '../../src/config.ts';
import { isProblemCode, statusOf } from '../../src/problem.ts';
import { type Server, startServer } from '../../src/server.ts';
import { type HostileCall, hostileCalls } from '../support/hostile.ts';
import { operatorCall } from '../support/operator-call.ts';
import { type Operation, operationsOf } from '../support/operations.ts';
import { temporaryDirectory } from '../support/process.ts';

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** How many calls are out at a time, and how long each may take, in milliseconds. */
const atOnce = 8;
const patience = 60_000;

describe('whoever opens the socket and sends what nobody means', { timeout: 900_000 }, () => {
  let desk: Awaited<ReturnType<typeof temporaryDirectory>>;
  let dir: string;
  let server: Server;
  let document: any;
  const lines: string[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce });

  before(async () => {
    desk = await temporaryDirectory();
    dir = desk.path;
    const config = loadConfig({ dataDir: dir, options: { 'gateway.port': [0], 'operator.port': 0 }, env: {} });
    const log = pino({ base: null, level: 'info' }, { write: (line) => void lines.push(line) });
    server = await startServer(config, { log });
    document = (await operatorCall(dir, 'GET', '/openapi.json')).json;
  });
  after(async () => {
    agent.destroy();
    await server[Symbol.asyncDispose]();
    await desk[Symbol.asyncDispose]();
  });

  function send({ method, path, headers, body }: HostileCall): Promise<Answer | 'hangs' | 'cut off'> {
    return new Promise((resolve) => {
      const socketPath = join(dir, 'operator.sock');
      const call = request({ socketPath, agent, method, path, headers, timeout: patience }, (response) => {
        const { statusCode: status = 0 } = response;
        const type = response.headers['content-type'] ?? '';
        const answered = (parts: Buffer[]): void =>
          resolve({ status, type, text: Buffer.concat(parts).toString('utf8') });
        // Has no end: that it began is the answer.
        if (type.startsWith('text/event-stream')) {
          answered([]);
          response.destroy();
          return;
        }
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part)).once('end', () => answered(parts));
        response.once('error', () => resolve('cut off'));
      });
      call.once('timeout', () => {
        resolve('hangs');
        call.destroy();
      });
      call.once('error', () => resolve('cut off'));
      call.end(body);
    });
  }

  /** What is wrong with an answer; null for nothing. */
  function fault(answer: Answer | 'hangs' | 'cut off'): string | null {
    if (typeof answer === 'string') return answer;
    const { status, type, text } = answer;
    if (status >= 200 && status < 400) return null;
    if (status < 400 || status >= 500) return `${status}: ${text.slice(0, 300)}`;
    if (!type.startsWith('application/problem+json')) return `${status} is no problem: ${type}`;
    const { code, status: said, detail } = JSON.parse(text);
    if (!isProblemCode(code) || statusOf(code) !== status || said !== status)
      return `${status} is not of the table: ${text}`;
    return typeof detail === 'string' && detail !== '' ? null : `says nothing: ${text}`;
  }

  /** A test account, made anew where a call before has deleted it. */
  async function requireAccount(): Promise<void> {
    if ((await operatorCall(dir, 'GET', '/accounts/acme')).status === 200) return;
    assert.equal((await operatorCall(dir, 'POST', '/accounts', { body: { name: 'acme' } })).status, 201);
  }

  const faultsOf = async (operation: Operation): Promise<string[]> => {
    const found: string[] = [];
    const calls = hostileCalls(operation, { account: 'acme' }, document.components).values();
    const work = async (): Promise<void> => {
      for (const call of calls) {
        const wrong = fault(await send(call));
        if (wrong !== null)
          found.push(`${call.what}: ${wrong}; ${call.path.slice(0, 300)} ${String(call.body).slice(0, 300)}`);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    return found;
  };

  test('is answered by a problem of the table or, where it is legal after all, by what was asked for', async () => {
    const found: string[] = [];
    for (const operation of operationsOf(document)) {
      await requireAccount();
      const faults = await faultsOf(operation);
      found.push(...faults.map((each) => `${operation.method} ${operation.path}, ${each}`));
    }
    assert.deepEqual(found.slice(0, 40), [], `${found.length} calls in all`);
  });

  test('writes nothing into the log but what the server says, a line for each call at most', () => {
    const requests = new Set<string>();
    for (const line of lines) {
      assert.match(line, /^\{[^\n\r\0]*\}\n$/);
      const { request: id, msg } = JSON.parse(line) as { request?: string; msg: string };
      assert.notEqual(msg, 'injected');
      if (msg !== 'operator call' || id === undefined) continue;
      assert.ok(!requests.has(id), line);
      requests.add(id);
    }
    assert.ok(requests.size > 100);
  });

  test('has broken nothing: the API serves, and the tables are there', async () => {
    await requireAccount();
    assert.equal((await operatorCall(dir, 'GET', '/accounts/acme/devices')).status, 200);
    assert.equal(Object.hasOwn(Object.prototype, 'admin'), false);
    assert.equal((await operatorCall(dir, 'GET', '/openapi.json')).json.openapi, '3.1.0');
  });
});
