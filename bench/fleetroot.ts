// Fleetroot as it is run, `./fleetroot serve`, filled through its operator API and its gateway.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { at, type Client, openClient } from '../src/cli/client.ts';
import { send } from '../src/cli/connection.ts';
import type { AccountJson, CredentialsJson } from '../src/operator/schemas.ts';
import type { Identity } from './load.ts';
import { Pinned, serverCore } from './pinned.ts';

const launcher = new URL('../fleetroot', import.meta.url).pathname;

/** One account does all that a core can. */
const unlimited = Object.fromEntries(
  ['account_handshakes', 'account_provisionings', 'key_provisionings'].map((limit) => [
    `FLEETROOT_LIMITS_${limit.toUpperCase()}`,
    '1000000',
  ]),
);

/** An account, and who may call its gateway. */
export interface BenchAccount {
  readonly host: string;
  /** PEM of the Fleet Root CA. */
  readonly fleetRoot: string;
  /** The shared credential, for `POST /devices`. */
  readonly provisioner: Identity;
  readonly devices: readonly Identity[];
}

/** A Fleetroot server with a data directory of its own. */
export class Fleetroot implements AsyncDisposable {
  readonly server: Pinned;
  readonly port: number;
  /** Of the operators' API and the console. */
  readonly operatorPort: number;
  readonly #dir: string;
  readonly api: Client;

  private constructor(server: Pinned, [port, operatorPort]: readonly [number, number], dir: string) {
    this.server = server;
    this.port = port;
    this.operatorPort = operatorPort;
    this.#dir = dir;
    this.api = openClient(dir);
  }

  /** Starts one, in one process unless `env` says otherwise, on the server's core or on those named. */
  static async start(dir: string, env: NodeJS.ProcessEnv = {}, cores = `${serverCore}`): Promise<Fleetroot> {
    const words = ['serve', '--data', dir, '--gateway-port', '0', '--operator-port', '0'];
    const settings = { FLEETROOT_LOG_LEVEL: 'warn', FLEETROOT_GATEWAY_WORKERS: '1', ...unlimited, ...env };
    const server = new Pinned([launcher, ...words], settings, cores);
    const [, port, operatorPort] = await server.says(/devices: port (\d+)[^]*people: .*?:(\d+),/);
    return new Fleetroot(server, [Number(port), Number(operatorPort)], dir);
  }

  /** Makes so many test accounts, each with a provisioning key and so many devices by shared credentials. */
  async fill(accounts: number, devicesOfEach: number): Promise<BenchAccount[]> {
    return inParallel(accounts, (n) => this.#makeAccount(`account-${n}`, devicesOfEach));
  }

  async #makeAccount(name: string, devices: number): Promise<BenchAccount> {
    const account = await this.api.post<AccountJson>('/accounts', { name });
    const { zip } = await this.api.post<CredentialsJson>(at`/accounts/${name}/credentials`, {});
    const { hostname: host } = new URL(account.gateway_url);
    const base = join(this.#dir, name);
    writeFileSync(`${base}.zip`, zip, 'base64');
    const pkcs12 = execFileSync('unzip', ['-p', `${base}.zip`, 'autoprov_credentials.p12']);
    writeFileSync(`${base}.p12`, pkcs12);
    return {
      host,
      fleetRoot: account.fleet_root_cas[0]!.certificates[0]!.certificate,
      provisioner: { host, pkcs12: `${base}.p12`, expected: 'application/x-pkcs12' },
      devices: await inParallel(devices, async (n) => {
        const deviceId = `${name}-device-${n}`;
        const file = join(this.#dir, `${deviceId}.p12`);
        writeFileSync(file, await this.#call(host, pkcs12, 'POST', '/devices', JSON.stringify({ deviceId })));
        return { host, pkcs12: file, expected: `"device_id":"${deviceId}"` };
      }),
    };
  }

  /** The body of the reply to a GET. */
  get({ host, pkcs12 }: Identity, path: string): Promise<Buffer> {
    return this.#call(host, readFileSync(pkcs12), 'GET', path);
  }

  /** What the server says of itself now: the value of a metric, all its labels together; 0 for one that it does not have. */
  async metrics(): Promise<(name: string) => number> {
    const place = { kind: 'socket', dataDir: this.#dir } as const;
    const call = { method: 'GET', path: '/metrics', accept: 'text/plain', type: null, payload: null };
    const lines = (await text(await send(place, call))).split('\n');
    return (name) =>
      lines
        .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  /** One call to the gateway. Rejects where the answer is not 200. */
  async #call(host: string, pfx: Buffer, method: string, path: string, body = ''): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const call = request({
      host: '127.0.0.1',
      port: this.port,
      servername: host,
      method,
      path,
      pfx,
      passphrase: '',
      // The server is our own; the load does not validate its path either.
      rejectUnauthorized: false,
      agent: false,
      headers: { host, ...(body && { 'content-type': 'application/json' }) },
    });
    call.once('error', reject).once('response', (response) => {
      buffer(response).then((content) => {
        if (response.statusCode === 200) resolve(content);
        else reject(new Error(`${path} was answered ${response.statusCode}: ${content.toString()}`));
      }, reject);
    });
    call.end(body);
    return promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }
}

/** Makes things one by one, sixteen at a time. */
async function inParallel<T>(count: number, make: (n: number) => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  let next = 0;
  const work = async () => {
    while (next < count) {
      const n = next++;
      made[n] = await make(n);
    }
  };
  await Promise.all(Array.from({ length: 16 }, work));
  return made;
}
