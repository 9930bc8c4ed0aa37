// The power fails while devices are being provisioned, again and again: who has an answer is known, and nobody is stuck.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { at, openClient } from '../../src/cli/client.ts';
import { askGateway, type Trusted } from '../../src/demo/device.ts';
import { Image } from '../support/image.ts';
import type { Provisioned } from '../support/issuing-child.ts';
import { temporaryDirectory } from '../support/process.ts';
import { deaths } from '../support/require.ts';
import { ServeProcess } from '../support/serve.ts';

/** Together they are 200. */
const kills = { server: deaths(20), core: deaths(180) };
const devicesAtOnce = 8;
/** An issuance takes some milliseconds: kills are spread over it and what is around it. */
const longestWait = 40;

/** Whoever can be asked for a device's credentials, and be killed. */
interface Program {
  /** The PKCS#12; null where nobody answered. Throws where it is refused. */
  provision(deviceId: string): Promise<Buffer | null>;
  kill(): Promise<void>;
}

/** Kills programs in the middle of issuing; gives what each device was answered, and how often nobody answered one. */
async function killAgainAndAgain(
  rounds: number,
  name: string,
  start: () => Promise<Program>,
): Promise<{ answered: Map<string, Buffer>; interrupted: number }> {
  const answered = new Map<string, Buffer>();
  let interrupted = 0;
  await using running = new AsyncDisposableStack();
  let program = await start();
  // Where something does not come true, nothing is left running.
  running.defer(() => program.kill());
  for (let round = 0; round < rounds; round += 1) {
    const asked = Array.from({ length: devicesAtOnce }, (_, index) => `${name}-${round}-${index}`);
    const replies = asked.map((deviceId) => program.provision(deviceId));
    const dying = pause((round / rounds) * longestWait).then(() => program.kill());
    for (const [index, reply] of (await Promise.all(replies)).entries()) {
      if (reply !== null) answered.set(asked[index] as string, reply);
    }
    await dying;

    program = await start();
    for (const deviceId of asked.filter((each) => !answered.has(each))) {
      interrupted += 1;
      const again = await program.provision(deviceId);
      assert.ok(again !== null, `${deviceId} is stuck`);
      answered.set(deviceId, again);
    }
  }
  return { answered, interrupted };
}

const name = `killed ${kills.server} times, and ${kills.core} times what issues, in the middle of issuing`;
test(`a server ${name}`, { timeout: 20 * 60_000 }, async () => {
  await using directory = await temporaryDirectory();
  let port = '0';
  const serve = async () => {
    const server = await ServeProcess.start(directory.path, '--gateway-port', port);
    port = String(server.port);
    return server;
  };
  const first = await serve();
  const api = openClient(directory.path);
  const { id } = await api.post<{ id: string }>('/accounts', { name: 'acme', kind: 'test' });
  const made = await api.post<{ zip: string }>(at`/accounts/${'acme'}/credentials`, {});
  // Node writes its compile cache when it ends in order: so many starts are worth that.
  await first.stop();
  await writeFile(directory.file('c.zip'), Buffer.from(made.zip, 'base64'));
  const image = await Image.unpack(directory.file('c.zip'));
  const gateway: Trusted = {
    host: new URL(image.url).hostname,
    port: Number(port),
    ca: await readFile(image.trusts),
  };
  const pfx = await readFile(join(image.dir, 'autoprov_credentials.p12'));

  await (await startCore(directory.path, id)).end();
  const bare = await killAgainAndAgain(kills.core, 'core', () => startCore(directory.path, id));
  const whole = await killAgainAndAgain(kills.server, 'server', async () => {
    const server = await serve();
    return {
      async provision(deviceId) {
        const body = JSON.stringify({ deviceId, ttl: '36000' });
        const reply = await askGateway(gateway, { pfx }, 'POST', '/devices', body).catch(() => null);
        assert.ok(reply === null || reply.status === 200, `${deviceId} is refused: ${reply?.text}`);
        return reply?.body ?? null;
      },
      kill: () => server.kill(),
    };
  });
  assert.ok(bare.interrupted > 0 && whole.interrupted > 0, 'no kill met an issuance');

  await using _server = await serve();
  const answered = [...bare.answered, ...whole.answered];
  for (let done = 0; done < answered.length; done += devicesAtOnce) {
    const some = answered.slice(done, done + devicesAtOnce).map(async ([deviceId, credentials]) => {
      const who = await askGateway(gateway, { pfx: credentials }, 'GET', '/device');
      assert.equal(who.json?.['device_id'], deviceId, `${deviceId} has a certificate that is not known: ${who.text}`);
    });
    await Promise.all(some);
  }
  const expected = (kills.core + kills.server) * devicesAtOnce;
  const devices = await api.list<{ device_id: string }>(at`/accounts/${'acme'}/devices`);
  assert.deepEqual([answered.length, devices.length], [expected, expected]);
  const [key] = await api.list<{ uses: number }>(at`/accounts/${'acme'}/provisioning-keys`);
  assert.equal(key?.uses, expected);
});

/** Starts issuing-child.ts. */
async function startCore(dir: string, account: string): Promise<Program & { end(): Promise<void> }> {
  const child = fork(join(import.meta.dirname, '../support/issuing-child.ts'), [dir, account]);
  const ended = once(child, 'exit');
  const waiting = new Map<string, PromiseWithResolvers<Buffer | null>>();
  child.on('message', (told: Provisioned | 'open') => {
    if (told === 'open') return;
    const answer = waiting.get(told.deviceId);
    if ('pkcs12' in told) answer?.resolve(Buffer.from(told.pkcs12, 'base64'));
    else answer?.reject(new Error(`${told.deviceId} is refused: ${told.refused}`));
  });
  void ended.then(() => waiting.forEach(({ resolve }) => resolve(null)));
  await Promise.race([once(child, 'message'), ended.then(() => Promise.reject(new Error('it did not open')))]);
  return {
    provision(deviceId) {
      const answer = Promise.withResolvers<Buffer | null>();
      waiting.set(deviceId, answer);
      child.send(deviceId, (error) => error && answer.resolve(null));
      return answer.promise;
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
