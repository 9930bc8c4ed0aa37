// The open connections: who is found to be somebody in the moment in which that changes does not stay so.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { type Connection, Connections } from '../../src/gateway/connections.ts';
import { Trust } from '../../src/gateway/trust.ts';
import type { Verdict } from '../../src/gateway/verdicts.ts';
import { refuse } from '../../src/provisioning/refusal.ts';
import type { Change } from '../../src/registry/changes.ts';

const account_id = 'one';
const refused = {
  kind: 'refused' as const,
  refusal: refuse('device_revoked', 'It is revoked.'),
  certificate: null,
  sighting: null,
};
const device = (): Verdict =>
  ({ kind: 'device', device: { uuid: 'd' }, validUntil: 100, publicKeys: [] }) as unknown as Verdict;

describe('a connection whose first request is judged', () => {
  let server: Server;
  let trust: Trust;
  let connections: Connections;
  /** What it is found to be when it is judged anew, and how often it was. */
  let now: Verdict | typeof refused;
  let times: number;

  before(async () => {
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => void server.close());
  beforeEach(() => {
    now = device();
    times = 0;
    trust = new Trust({} as unknown as ConstructorParameters<typeof Trust>[0]);
    const judge = async () => {
      times += 1;
      return now;
    };
    connections = new Connections(trust, judge, () => 0);
  });
  afterEach(() => connections[Symbol.dispose]());

  /** One that is open, and its client's end. */
  async function open(): Promise<{ connection: Connection; client: Socket }> {
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1').resume();
    const [socket] = (await once(server, 'connection')) as [Socket];
    const connection = { socket, account_id, shown: { ders: [], tbsSha256: 'leaf' }, verdict: null };
    connections.add(connection as unknown as Connection);
    return { connection: connection as unknown as Connection, client };
  }

  /** What is told of while it is judged. */
  async function tell(change: Change): Promise<void> {
    trust.forget(change);
    await connections.act(change);
  }

  for (const change of [
    { kind: 'device', account_id, device_uuid: 'd' },
    { kind: 'account', account_id },
  ] as const satisfies Change[]) {
    test(`ends where a change of the ${change.kind} meanwhile lets it in no longer`, async () => {
      const { connection, client } = await open();
      const [verdict, { epoch }] = [device(), trust.verdicts];
      await tell(change);
      now = refused;
      trust.verdicts.remember(account_id, 'leaf', verdict, epoch);
      connections.identified(connection, verdict);
      await once(client, 'close');
    });
  }

  test('goes on where it is let in all the same, until the next change', async () => {
    const { connection, client } = await open();
    const [verdict, { epoch }] = [device(), trust.verdicts];
    await tell({ kind: 'device', account_id, device_uuid: 'd' });
    trust.verdicts.remember(account_id, 'leaf', verdict, epoch);
    connections.identified(connection, verdict);
    assert.equal(times, 1);
    await tell({ kind: 'device', account_id, device_uuid: 'd' });
    assert.deepEqual([times, connection.socket.destroyed], [2, false]);
    now = refused;
    await tell({ kind: 'device', account_id, device_uuid: 'd' });
    await once(client, 'close');
  });

  test('is judged once where nothing has changed', async () => {
    const { connection, client } = await open();
    const verdict = device();
    trust.verdicts.remember(account_id, 'leaf', verdict, trust.verdicts.epoch);
    connections.identified(connection, verdict);
    assert.equal(times, 0);
    client.destroy();
  });
});
