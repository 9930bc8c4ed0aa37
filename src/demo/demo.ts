// The story of `npm run demo`, told on the real server: five devices get in, three are refused, and each is told why.

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { at, type Client, openClient } from '../cli/client.ts';
import type { Server } from '../server.ts';
import { type AccountJson, openGateway, startDemoServer } from './demo-server.ts';
import { askGateway, type GatewayAnswer } from './device.ts';
import { makeFleetPki } from './fleet-pki.ts';
import { type Narrator, openNarrator } from './narrator.ts';

/** What came true. */
interface Tally {
  in: number;
  refused: number;
}

const sharedDevices = ['brave-otter-001', 'calm-heron-002', 'swift-lynx-003'];
const ownDevices = ['WVWZZZ1JZXW000001', 'WVWZZZ1JZXW000002'];
const expected: Tally = { in: sharedDevices.length + ownDevices.length, refused: 3 };

/**
 * Tells the story. With `once` the server ends afterwards; else it stays up until the process is told to stop.
 * Returns whether all of it came true.
 */
export async function runDemo({ once: onlyOnce }: { once: boolean }): Promise<boolean> {
  const narrator = openNarrator(process.stdout);
  const directory = await mkdtemp(join(tmpdir(), 'fleetroot-demo-'));
  try {
    narrator.title('Fleetroot: devices prove who they are');
    await using server = await startDemoServer(directory);
    narrator.done('a server is up', `device gateway on port ${server.gatewayPorts.join(', ')}, data in ${directory}`);
    const tally: Tally = { in: 0, refused: 0 };
    await tell(narrator, openClient(directory), server, directory, tally);

    const cameTrue = tally.in === expected.in && tally.refused === expected.refused;
    narrator.plain(`\ndemo: ${tally.in} devices in, ${tally.refused} refused`);
    if (!onlyOnce) await stayUp(narrator, directory, server);
    return cameTrue;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function tell(narrator: Narrator, api: Client, server: Server, directory: string, tally: Tally): Promise<void> {
  narrator.chapter('Two accounts, as the guide recommends');
  const test = await api.post<AccountJson>('/accounts', { name: 'trial', kind: 'test' });
  narrator.done('account "trial"', 'test: Fleetroot makes the Fleet Root CA and a certificate for each device');
  const production = await api.post<AccountJson>('/accounts', { name: 'acme', kind: 'production' });
  narrator.done('account "acme"', 'production: Fleetroot validates and can issue nothing');

  narrator.chapter('Provisioning with shared credentials');
  const trial = await openGateway(api, test, server, directory);
  narrator.done('trial-credentials.zip', `${[...trial.entries.keys()].join(', ')}: baked into a generic image`);
  const provisioned = new Map<string, Buffer>();
  for (const deviceId of sharedDevices) {
    const began = performance.now();
    const body = JSON.stringify({ deviceId, ttl: '36000' });
    const pfx = trial.entries.get('autoprov_credentials.p12');
    const made = await askGateway(trial, { pfx }, 'POST', '/devices', body);
    if (made.status !== 200) {
      narrator.failed(deviceId, made.text);
      continue;
    }
    provisioned.set(deviceId, made.body);
    const answer = await askGateway(trial, { pfx: made.body }, 'GET', '/device');
    const took = `key and certificate in ${Math.round(performance.now() - began)} ms`;
    admitted(narrator, tally, answer, deviceId, `${took}, online with them`);
  }

  narrator.chapter('Provisioning with device credentials');
  const acme = await openGateway(api, production, server, directory);
  const fleet = await makeFleetPki(directory, 'acme-fleet-root');
  await api.post(at`/accounts/${production.name}/fleet-root-cas`, Buffer.from(fleet.root));
  narrator.done('Fleet Root CA registered', `its certificate alone; made by ${fleet.by}`);
  for (const deviceId of ownDevices) {
    const { certificate: cert, key } = await fleet.device(deviceId);
    const answer = await askGateway(acme, { cert, key }, 'GET', '/device');
    admitted(narrator, tally, answer, deviceId, 'came with its own certificate, added at its first connection');
  }
  for (const account of [test, production]) {
    const online = await api.list<{ device_id: string; state: string }>(at`/accounts/${account.name}/devices`);
    narrator.done(
      `device list ${account.name}`,
      online.map((device) => `${device.device_id} (${device.state})`).join(', '),
    );
  }

  narrator.chapter('Who may not get in, and why');
  const strangers = await makeFleetPki(directory, 'somebody-elses-root');
  const stranger = await strangers.device('stranger-1');
  const expired = await fleet.device('expired-1', -1);
  const lost = { pfx: provisioned.get(sharedDevices[0] as string) };
  refused(
    narrator,
    tally,
    'a stranger',
    await askGateway(acme, toTls(stranger), 'GET', '/device'),
    'certificate_untrusted',
  );
  refused(
    narrator,
    tally,
    'an expired certificate',
    await askGateway(acme, toTls(expired), 'GET', '/device'),
    'certificate_expired',
  );
  refused(
    narrator,
    tally,
    'a device of the account "trial"',
    await askGateway(acme, lost, 'GET', '/device'),
    'certificate_untrusted',
  );
  const explanation = await api.post<{ rule: string; remedy: string }>(
    at`/accounts/${production.name}/explain`,
    Buffer.from(stranger.certificate),
  );
  narrator.done('explain acme stranger.pem', `${explanation.rule} ${explanation.remedy}`);
}

function toTls({ certificate, key }: { certificate: string; key: string }): { cert: string; key: string } {
  return { cert: certificate, key };
}

function admitted(narrator: Narrator, tally: Tally, answer: GatewayAnswer, deviceId: string, how: string): void {
  if (answer.status === 200 && answer.json?.['device_id'] === deviceId) {
    tally.in += 1;
    narrator.done(deviceId, how);
  } else {
    narrator.failed(deviceId, answer.text);
  }
}

function refused(narrator: Narrator, tally: Tally, who: string, answer: GatewayAnswer, code: string): void {
  if (answer.status === 403 && answer.json?.['code'] === code) {
    tally.refused += 1;
    narrator.turnedAway(who, `${code}: ${String(answer.json['description'])}`);
  } else {
    narrator.failed(who, answer.text);
  }
}

async function stayUp(narrator: Narrator, directory: string, server: Server): Promise<void> {
  narrator.chapter('The server stays up. Try:');
  for (const line of [
    `./fleetroot --data ${directory} account list`,
    `./fleetroot --data ${directory} device list acme`,
    `./fleetroot --data ${directory} device suspend acme ${ownDevices[0]}`,
    `./fleetroot --data ${directory} refusal list acme`,
    `./fleetroot --data ${directory} credentials create trial -o credentials.zip`,
  ]) {
    narrator.command(line);
  }
  // Plain HTTP, which the operators' port speaks on loopback: no browser knows the demo's CA.
  const link = server.firstAdministratorUrl?.replace('https:', 'http:');
  if (link) narrator.plain(`In a browser, for 15 minutes, as its first administrator:\n  ${link}`);
  narrator.plain('Ctrl-C ends it and removes its data.');
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM'), server.failed]);
}
