// The story of `demo --factory`: 20 devices made on a line, 19 of them seen, and a stranger made with the line's own stolen key.

import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { at, type Client, openClient } from '../cli/client.ts';
import { askGateway, type Trusted } from './device.ts';
import { askToSign, makeDevice, type NewDevice } from './factory-device.ts';
import { type Narrator, openNarrator } from './narrator.ts';
import type { Server } from '../server.ts';
import { fleetroot, type Program, startProgram, steal } from './program.ts';
import { openGateway, startDemoServer } from './demo-server.ts';

const made = 20;
const seen = made - 1;
/** How long a count may take to be right, in milliseconds. */
const patience = 10_000;

/** What came true. */
interface Tally {
  made: number;
  seen: number;
  refused: number;
}

/**
 * Tells the story on the real parts, each program of the factory a process of its own. With `once` all of them end
 * afterwards; else they stay up until the process is told to stop. Returns whether all of it came true.
 */
export async function runFactoryStory({ once: onlyOnce }: { once: boolean }): Promise<boolean> {
  const narrator = openNarrator(process.stdout);
  const directory = await mkdtemp(join(tmpdir(), 'fleetroot-factory-demo-'));
  const place = (name: string) => join(directory, name);
  try {
    const tally: Tally = { made: 0, seen: 0, refused: 0 };
    narrator.title('Fleetroot: a factory that makes, and a server that only checks');
    await makeLine(narrator, place);
    await using service = await startProgram(['factory', 'serve', '--port', '0', '--data', place('line')]);
    const devices = await makeDevices(narrator, service, place, tally);
    await using server = await startDemoServer(place('server'));
    const reconciled = await bringOnline(narrator, server, { place, devices, tally });
    narrator.plain(`\nfactory: ${tally.made} made, ${tally.seen} seen, ${tally.refused} stranger refused`);
    if (!onlyOnce) await stayUp(narrator, server, place);
    return reconciled && tally.made === made && tally.seen === seen && tally.refused === 1;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

interface Told {
  readonly place: (name: string) => string;
  readonly devices: readonly MadeDevice[];
  readonly tally: Tally;
}

async function bringOnline(narrator: Narrator, server: Server, { place, devices, tally }: Told): Promise<boolean> {
  narrator.chapter('The account of it crosses the gap');
  await fleetroot(['factory', 'export', '--data', place('line'), '-o', place('manifest')]);
  narrator.done('manifest', 'every certificate that was made, chained, signed by the line');
  const api = openClient(place('server'));
  const account = await api.post<{ id: string; name: string }>('/accounts', { name: 'acme', kind: 'production' });
  const root = await readFile(place('root/root.crt'));
  const { id } = await api.post<{ id: string }>(at`/accounts/${account.name}/fleet-root-cas`, root);
  await fleetroot(['fleet-root', 'set', account.name, id, '--admit', 'manifest', '--data', place('server')]);
  narrator.done('Fleet Root CA registered', 'its certificate alone; in comes only what a manifest holds');
  await fleetroot(['manifest', 'import', account.name, place('manifest'), '--data', place('server')]);
  narrator.done('manifest imported', 'checked against the Fleet Root CA; the line’s own CA came with it');

  const gateway = await openGateway(api, account, server);
  await connectDevices(narrator, gateway, devices, tally);
  await refuseStranger(narrator, gateway, place, tally);
  return reconcile(narrator, api, account.name, place);
}

/** A typed passphrase: asked for twice where it is new. */
const passphrase = `${randomBytes(18).toString('base64')}\n`;

async function makeLine(narrator: Narrator, place: (name: string) => string): Promise<void> {
  const factory = (words: string, typed = '') => fleetroot(['factory', ...words.split(' ')], typed);
  const [root, line] = [place('root'), place('line')];
  narrator.chapter('A line, and what it may make');
  await factory(`root create ${root} --name Acme`, passphrase.repeat(2));
  narrator.done('Fleet Root CA', 'on a machine without a network, its key under a passphrase');
  await factory(`line request --name line-1 --site leipzig -o ${place('line-1.pem')} --data ${line}`);
  const mandate = `--quota ${made} --until 90d --device-id-pattern ecu-[0-9]{4}`;
  const signed = `-o ${place('line-1.bundle')} --data ${root}`;
  await factory(`root sign-line ${place('line-1.pem')} ${mandate} ${signed}`, passphrase);
  await factory(`line accept ${place('line-1.bundle')} --data ${line}`);
  narrator.done('line-1', `a CA of its own, and a mandate for ${made} devices that its staff cannot raise`);
}

async function makeDevices(
  narrator: Narrator,
  service: Program,
  place: (name: string) => string,
  tally: Tally,
): Promise<MadeDevice[]> {
  const line = ['--data', place('line')];
  narrator.chapter('The line makes devices');
  const port = Number(/:(\d+)\b/.exec(service.said)?.[1]);
  await fleetroot(['factory', 'station', 'add', 'end-of-line', '-o', place('station'), ...line]);
  await fleetroot(['factory', 'window', 'open', '--order', 'PO-7', '--quota', '100', '--for', '8h', ...line]);
  narrator.done('a window is open', 'for the order PO-7 and the station end-of-line, for eight hours');
  const file = (name: string) => readFile(join(place('station'), name), 'utf8');
  const station = {
    port,
    ca: await file('station-ca.crt'),
    cert: await file('station.crt'),
    key: await file('station.key'),
  };
  const devices: MadeDevice[] = [];
  for (let number = 1; number <= made; number += 1) {
    const device = makeDevice(`ecu-${String(number).padStart(4, '0')}`);
    const { status, text } = await askToSign(station, device);
    if (status !== 200) narrator.failed(device.deviceId, text);
    else devices.push({ ...device, certificate: text.slice(0, text.indexOf('-----END CERTIFICATE-----') + 26) });
  }
  tally.made = devices.length;
  narrator.done(`${devices.length} devices`, 'each with a key that it made itself, and a certificate of the line');
  const { status, text } = await askToSign(station, makeDevice('ecu-9999'));
  if (status === 403) narrator.turnedAway('one more', (JSON.parse(text) as { description: string }).description);
  else narrator.failed('one more', text);
  return devices;
}

interface MadeDevice extends NewDevice {
  /** The leaf alone, as a token sends it. PEM. */
  readonly certificate: string;
}

async function connectDevices(
  narrator: Narrator,
  gateway: Trusted,
  devices: readonly MadeDevice[],
  tally: Tally,
): Promise<void> {
  narrator.chapter('Devices come online');
  for (const { deviceId, certificate: cert, key } of devices.slice(0, seen)) {
    const answer = await askGateway(gateway, { cert, key }, 'GET', '/device');
    if (answer.status === 200 && answer.json?.['device_id'] === deviceId) tally.seen += 1;
    else narrator.failed(deviceId, answer.text);
  }
  narrator.done(`${tally.seen} devices`, 'their own certificate alone is enough; one is still on the shelf');
}

async function refuseStranger(
  narrator: Narrator,
  gateway: Trusted,
  place: (name: string) => string,
  tally: Tally,
): Promise<void> {
  narrator.chapter("Somebody copies the line's directory, key and all");
  // A socket is nothing to copy, and what holds the directory is not what is stolen.
  await cp(place('line'), place('stolen'), { recursive: true, filter: (path) => !path.endsWith('.sock') });
  const stranger = makeDevice('ecu-0815');
  const cert = await steal(place('stolen'), stranger.deviceId, stranger.publicKey);
  const answer = await askGateway(gateway, { cert, key: stranger.key }, 'GET', '/device');
  if (answer.status === 403 && answer.json?.['code'] === 'certificate_not_in_manifest') {
    tally.refused += 1;
    narrator.turnedAway(stranger.deviceId, String(answer.json['description']));
  } else {
    narrator.failed(stranger.deviceId, answer.text);
  }
}

async function reconcile(
  narrator: Narrator,
  api: Client,
  account: string,
  place: (name: string) => string,
): Promise<boolean> {
  narrator.chapter('Made, seen, never seen, never made');
  await fleetroot(['factory', 'export', '--data', place('line'), '-o', place('next')]);
  await fleetroot(['manifest', 'import', account, place('next'), '--data', place('server')]);
  narrator.done('the next manifest', 'says that nothing was made since: who came meanwhile is a stranger for certain');
  interface Found {
    readonly count: number;
  }
  // What was refused is noted every second, and not while the device waits.
  for (const began = performance.now(); ; await setTimeout(200)) {
    const sums = await api.get<{ made: number; seen: number; never_seen: Found; strangers: Found }>(
      at`/accounts/${account}/reconciliation`,
    );
    const [shelf, strangers] = [sums.never_seen.count, sums.strangers.count];
    const cameTrue = sums.made === made && sums.seen === seen && shelf === made - seen && strangers === 1;
    if (!cameTrue && performance.now() - began < patience) continue;
    const counts = `${sums.made} made, ${sums.seen} seen, ${shelf} never seen, ${strangers} stranger`;
    narrator.done('manifest reconcile acme', counts);
    return cameTrue;
  }
}

async function stayUp(narrator: Narrator, server: Server, place: (name: string) => string): Promise<void> {
  narrator.chapter('The line and the server stay up. Try:');
  for (const line of [
    `./fleetroot factory status --data ${place('line')}`,
    `./fleetroot factory log list --data ${place('line')}`,
    `./fleetroot manifest reconcile acme --data ${place('server')}`,
    `./fleetroot refusal list acme --data ${place('server')}`,
  ]) {
    narrator.command(line);
  }
  narrator.plain('Ctrl-C ends both and removes their data.');
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM'), server.failed]);
}
