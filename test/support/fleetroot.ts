// A real server in the test's own process, and the real command line against it.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../src/cli/program.ts';
import { type ConfigOptions, loadConfig } from '../../src/config.ts';
import { openLog } from '../../src/log.ts';
import { Problem } from '../../src/problem.ts';
import { Secret } from '../../src/secret.ts';
import { type Server, startServer } from '../../src/server.ts';
import { eventually } from './eventually.ts';
import { Image } from './image.ts';
import type { Outcome } from './process.ts';

/** A server on free ports and a data directory of its own, and what people do with it. */
export class Fleetroot implements AsyncDisposable {
  readonly dir: string;
  /** What is typed at the next questions for a passphrase, in this order. */
  readonly typed: string[] = [];
  readonly #options: ConfigOptions;
  readonly #clock: () => number;
  #server: Server;

  private constructor(dir: string, options: ConfigOptions, clock: () => number, server: Server) {
    this.dir = dir;
    this.#options = options;
    this.#clock = clock;
    this.#server = server;
  }

  /** Starts a server; `clock` stands for the wall clock of the server. */
  static async start({
    options = {},
    clock = Date.now,
    prepare = async () => {},
  }: {
    options?: ConfigOptions;
    clock?: () => number;
    /** Puts something into the data directory before the first start. */
    prepare?: (dir: string) => Promise<unknown>;
  } = {}): Promise<Fleetroot> {
    const dir = await mkdtemp(join(tmpdir(), 'fleetroot-test-'));
    await prepare(dir);
    return new Fleetroot(dir, options, clock, await open(dir, options, clock));
  }

  /** The (first) gateway port. */
  get port(): number {
    return this.#server.gatewayPorts[0] as number;
  }

  get server(): Server {
    return this.#server;
  }

  /** A file of the test's own beside the data. */
  file(name: string): string {
    return join(this.dir, name);
  }

  /** Ends the server in order and starts it again on the same data and ports; `meanwhile` runs while it is down. */
  async restart(meanwhile: () => Promise<unknown> = async () => {}): Promise<void> {
    const ports = this.#server.gatewayPorts;
    await this.#server[Symbol.asyncDispose]();
    await meanwhile();
    const again = () => open(this.dir, { ...this.#options, 'gateway.port': ports }, this.#clock);
    // A port that was given by the system may be the own end of somebody's connection meanwhile, and is given back.
    this.#server = await eventually(() => again().catch(nullWherePortTaken));
  }

  /** Has the gateway certificates looked at, as happens every hour. */
  renew(): Promise<void> {
    return this.#server.renewGatewayCertificates();
  }

  /** What `/metrics` gives, devices and certificates counted anew. */
  async metrics(): Promise<string> {
    await this.#server.countInventory();
    const response = await fetch(`http://127.0.0.1:${this.#server.operatorPort}/metrics`);
    if (response.status !== 200) throw new Error(`/metrics answered ${response.status}`);
    return response.text();
  }

  /** Runs a command as a person does; never throws for what the command answers. */
  async command(...words: string[]): Promise<Omit<Outcome, 'bytes'>> {
    let stdout = '';
    let stderr = '';
    const code = await run(
      [...words, '--data', this.dir],
      {},
      {
        out: (content) =>
          void (stdout += typeof content === 'string' ? content : Buffer.from(content).toString('latin1')),
        err: (text) => void (stderr += text),
        ask: async () => null,
        askSecret: async () => {
          const line = this.typed.shift();
          return line === undefined ? null : Secret.fromText(line);
        },
      },
    );
    return { code, stdout, stderr };
  }

  /** Runs a command that must succeed, and gives its `--json`. */
  async json(...words: string[]): Promise<any> {
    const { code, stdout, stderr } = await this.command(...words, '--json');
    if (code !== 0) throw new Error(`fleetroot ${words.join(' ')} ended with ${code}:\n${stderr}`);
    return JSON.parse(stdout);
  }

  /** Makes credentials.zip for an account and unpacks it: what an image is built with. */
  async image(account: string, ...options: string[]): Promise<Image> {
    const zip = this.file(`credentials-${crypto.randomUUID()}.zip`);
    await this.json('credentials', 'create', account, '-o', zip, ...options);
    return Image.unpack(zip);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await rm(this.dir, { recursive: true, force: true });
  }
}

function nullWherePortTaken(error: unknown): null {
  if (error instanceof Problem && error.code === 'unavailable' && error.message.endsWith('it is in use.')) return null;
  throw error;
}

function open(dir: string, options: ConfigOptions, clock: () => number): Promise<Server> {
  const config = loadConfig({
    dataDir: dir,
    options: { 'gateway.port': [0], 'gateway.workers': 1, 'operator.port': 0, 'log.level': 'silent', ...options },
    env: {},
  });
  return startServer(config, { log: openLog(config.log.level), clock });
}
