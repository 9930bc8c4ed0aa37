import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { Metrics } from '../../src/metrics.ts';
import { startOperator } from '../../src/operator/api.ts';
import type { Login } from '../../src/login/login.ts';
import type { Webhooks } from '../../src/notification/webhooks.ts';
import type { Events } from '../../src/operator/event-routes.ts';
import type { Tokens } from '../../src/login/tokens.ts';
import type { Audit } from '../../src/operator/audit-routes.ts';
import type { Backups } from '../../src/operator/backup-routes.ts';
import type { Custody } from '../../src/operator/custody-routes.ts';
import type { Provisioning } from '../../src/provisioning/provisioning.ts';
import { operatorCall } from '../support/operator-call.ts';
import { temporaryDirectory } from '../support/process.ts';

const backups: Backups = { make: () => Promise.reject(new Error('no back-ups')) };
const custody: Custody = { rotateMasterKey: () => Promise.reject(new Error('no master key')) };
const tokens = {} as Tokens;
const login = {} as Login;
const events = { feed: { [Symbol.dispose]() {} } } as unknown as Events;
const webhooks = {} as Webhooks;
const audit: Audit = { chain: async () => {}, checkpoint: async () => null };
const counted = { metrics: new Metrics(), metricsOpen: 'loopback' } as const;

/** A server whose registry fails with something that nobody outside is to read. */
const broken = {
  registry: {
    get read(): never {
      throw new Error('disk /dev/sda1 is on fire');
    },
  },
} as unknown as Provisioning;

/** What an operators' API is made of beside its registry. */
const parts = {
  address: '127.0.0.1',
  port: 0,
  listener: { certificate: () => null, hosts: [] },
  tokens,
  events,
  webhooks,
  login,
  url: () => 'https://localhost',
  sso: null,
  audit,
  backups,
  ...counted,
  authenticate: async () => null,
};

test('a fault of our own is told by an ID that is in the log, and by nothing of its inside', async () => {
  await using desk = await temporaryDirectory();
  const logged: Record<string, unknown>[] = [];
  const log = pino({ base: null }, { write: (line) => void logged.push(JSON.parse(line)) });
  const listening = { socketPath: desk.file('operator.sock'), provisioning: broken, custody, log };
  await using _operator = await startOperator({
    ...listening,
    ...parts,
    ready: async () => ({ serving: true, ending: false, faults: [] }),
  });
  const { status, text, json } = await operatorCall(desk.path, 'GET', '/accounts');
  assert.deepEqual([status, json.code, json.detail], [500, 'internal_error', 'The server failed.']);
  assert.doesNotMatch(text, /fire|sda1|Error|\.ts/);
  assert.match(json.instance, /^urn:uuid:[0-9a-f-]{36}$/);
  const entry = logged.find(({ instance }) => instance === json.instance);
  assert.match(JSON.stringify(entry), /disk \/dev\/sda1 is on fire/);
});

test('a server that does not serve devices yet is not ready, and says so', async () => {
  await using desk = await temporaryDirectory();
  const listening = {
    socketPath: desk.file('operator.sock'),
    provisioning: broken,
    custody,
    log: pino({ enabled: false }),
  };
  await using operator = await startOperator({
    ...listening,
    ...parts,
    ready: async () => ({ serving: false, ending: false, faults: [] }),
  });
  const response = await fetch(`http://127.0.0.1:${operator.port}/readyz`);
  assert.deepEqual([response.status, ((await response.json()) as { code: string }).code], [503, 'unavailable']);
  assert.equal((await fetch(`http://127.0.0.1:${operator.port}/healthz`)).status, 200);
});
