// A factory's service for tests: the real process, its stations, and curl and openssl as stations and devices have them.

import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { actions } from '../../src/factory/actions.ts';
import type { Factory } from '../../src/factory/factory.ts';
import { type Limits, type RunningService, startService } from '../../src/factory/service/service.ts';
import { stationActions } from '../../src/factory/stations.ts';
import type { TestLine } from './factory.ts';
import { eventually } from './eventually.ts';
import { execute, succeed } from './process.ts';

const launcher = fileURLToPath(new URL('../../fleetroot', import.meta.url));

/** `./fleetroot factory serve` in a process, on a free port unless told otherwise. */
export class FactoryProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly #exited: Promise<unknown>;
  /** What it has said so far on both of its outputs. */
  said = '';

  private constructor(child: ChildProcess) {
    this.child = child;
    // Not at its exit: what it has said may still be on its way.
    this.#exited = once(child, 'close');
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (part: Buffer) => {
        this.said += part.toString('utf8');
        child.emit('said');
      });
    }
  }

  /** Starts it and waits until it serves; rejects with what it said where it ends instead. */
  static start(dir: string, options: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<FactoryProcess> {
    // A port of before may be the own end of somebody's connection meanwhile, and is given back.
    return eventually(() =>
      FactoryProcess.#startOnce(dir, options, env).catch((error: unknown) => {
        if (String(error).includes(': it is in use.')) return null;
        throw error;
      }),
    );
  }

  static async #startOnce(dir: string, options: readonly string[], env: NodeJS.ProcessEnv): Promise<FactoryProcess> {
    const port = options.includes('--port') ? [] : ['--port', '0'];
    const words = ['factory', 'serve', '--data', dir, ...port, ...options];
    const started = new FactoryProcess(spawn(launcher, words, { stdio: 'pipe', env: { ...process.env, ...env } }));
    while (!started.said.includes('Ready.')) {
      if (await Promise.race([once(started.child, 'said').then(() => false), started.#exited.then(() => true)])) {
        const { exitCode, signalCode } = started.child;
        throw new Error(`factory serve ended with ${exitCode ?? signalCode}:\n${started.said}`);
      }
    }
    return started;
  }

  /** Where it listens first, such as `https://127.0.0.1:40123`. */
  get url(): string {
    return /stations: (https:\/\/\S+:\d+)/.exec(this.said)![1]!;
  }

  /** Ends it without a warning. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#exited;
  }

  /** Tells it to end and gives its exit code. */
  async stop(signal: 'SIGTERM' | 'SIGINT' = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    await this.#exited;
    return this.child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.kill();
  }
}

/** A service in the test's own process, with the factory under it. */
export interface TestService extends AsyncDisposable {
  readonly factory: Factory;
  readonly service: RunningService;
  /** Where it listens first. */
  readonly url: string;
}

/** Opens a line's directory and serves it here. */
export async function openService(
  line: TestLine,
  { limits = {}, clock = Date.now }: { limits?: Partial<Limits>; clock?: () => number } = {},
): Promise<TestService> {
  await using held = new AsyncDisposableStack();
  const factory = held.use(await line.open({ clock }));
  const service = held.use(await startService(factory, limits));
  const all = held.move();
  const [{ address, port }] = service.at as [{ address: string; port: number }];
  const url = `https://${address}:${port}`;
  return { factory, service, url, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Adds a station with a key of its own to a factory that is open here; gives what curl shows of it. */
export async function addStation(
  line: TestLine,
  factory: Factory,
  name: string,
  { networks = [], address = null }: { networks?: string[]; address?: string | null } = {},
): Promise<Client> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const public_key = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  const proof = { kind: 'key', public_key } as const;
  const { certificate, ca } = await stationActions.addStation(factory, { name, networks, address, proof });
  const station = line.file(name);
  await mkdir(station);
  await writeFile(join(station, 'station.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await writeFile(join(station, 'station.crt'), `${certificate}${ca}`);
  return { station };
}

/** The same with a password. */
export async function addPasswordStation(factory: Factory, name: string, networks: string[] = []): Promise<Client> {
  const proof = { kind: 'password' } as const;
  const { password } = await stationActions.addStation(factory, { name, networks, address: null, proof });
  return { password: `${name}:${password}` };
}

/** Opens a window for an order, which is made where it is not there. */
export async function openWindow(factory: Factory, order: string, quota = 1_000): Promise<void> {
  const orders = await actions.listOrders(factory, {});
  if (!orders.some(({ name }) => name === order)) {
    await actions.addOrder(factory, { name: order, batch: null, proof: 'station', devices: null });
  }
  await actions.openWindow(factory, { order, quota, lasts: '8h', station: null, batch: null, proof: null });
}

/** What a service has answered. */
export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What curl shows that it is somebody. */
export interface Client {
  /** Directory with station.crt and station.key. */
  readonly station?: string;
  /** Files of a certificate and a key, of a device for one. */
  readonly certificate?: string;
  readonly key?: string;
  /** `name:password`. */
  readonly password?: string;
}

/** Calls a service with curl, which trusts it by the factory's Station CA; `more` are further words of the command line. */
export async function call(
  line: TestLine,
  url: string,
  client: Client,
  more: readonly string[] = [],
  input?: string | Uint8Array,
): Promise<Answer> {
  const { station, password } = client;
  const certificate = station === undefined ? client.certificate : join(station, 'station.crt');
  const key = station === undefined ? client.key : join(station, 'station.key');
  const words = ['-sS', '-i', '--max-time', '120', '--cacert', join(line.dir, 'station-ca.crt')];
  if (certificate !== undefined) words.push('--cert', certificate, '--key', key ?? certificate);
  if (password !== undefined) words.push('--user', password);
  const outcome = await execute('curl', [...words, ...more, url], { input });
  if (outcome.code !== 0) throw new Error(`curl ended with ${outcome.code}: ${outcome.stderr}`);
  return readAnswer(outcome.stdout);
}

/** Reads the last of the answers that curl printed: 100 Continue may stand before it. */
export function readAnswer(text: string): Answer {
  const end = text.indexOf('\r\n\r\n');
  const [first = '', ...fields] = text.slice(0, end).split('\r\n');
  const status = Number(first.split(' ')[1]);
  const rest = text.slice(end + 4);
  if (status === 100) return readAnswer(rest);
  const headers = fields.map((field) => [
    field.slice(0, field.indexOf(':')).toLowerCase(),
    field.slice(field.indexOf(':') + 1).trim(),
  ]);
  return { status, headers: Object.fromEntries(headers) as Record<string, string>, body: rest };
}

/** Has openssl make a P-256 key and a request for it; gives their files. */
export async function deviceRequest(
  line: TestLine,
  deviceId: string,
  { name = deviceId, more = [] }: { name?: string; more?: readonly string[] } = {},
): Promise<{ key: string; request: string }> {
  const [key, request] = [line.file(`${name}.key`), line.file(`${name}.csr`)];
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', request];
  await succeed('openssl', ['req', '-new', ...made, '-subj', `/CN=${deviceId}`, ...more]);
  return { key, request };
}
