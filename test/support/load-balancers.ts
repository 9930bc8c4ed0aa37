// HAProxy and nginx as programs, with the configurations that docs/load-balancers.md has.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { eventually } from './eventually.ts';
import { temporaryDirectory } from './process.ts';

/** The code block of the page that is in this language. */
export async function configurationOf(language: 'haproxy' | 'nginx'): Promise<string> {
  const page = await readFile(new URL('../../docs/load-balancers.md', import.meta.url), 'utf8');
  const [, block] = new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, 'm').exec(page) ?? [];
  if (block === undefined) throw new Error(`The page has no configuration of ${language}.`);
  return block;
}

/** A load balancer that runs; everything that it has said is in `said`. */
export class RunningBalancer implements AsyncDisposable {
  readonly port: number;
  /** Where its files are. */
  readonly dir: string;
  readonly #child: ChildProcess;
  readonly #directory: AsyncDisposable;
  said = '';

  private constructor(port: number, child: ChildProcess, directory: AsyncDisposable & { readonly path: string }) {
    this.port = port;
    this.dir = directory.path;
    this.#child = child;
    this.#directory = directory;
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (part: Buffer) => (this.said += String(part)));
  }

  /** Starts a program with a configuration, which is written when the port is known, and waits until it listens. */
  static start(
    configure: (port: number, dir: string) => string,
    command: (file: string, dir: string) => readonly [string, ...string[]],
  ): Promise<RunningBalancer> {
    // The port is somebody else's at times, and is given back.
    return eventually(() => RunningBalancer.#startOnce(configure, command));
  }

  static async #startOnce(
    configure: (port: number, dir: string) => string,
    command: (file: string, dir: string) => readonly [string, ...string[]],
  ): Promise<RunningBalancer | null> {
    const directory = await temporaryDirectory();
    const port = await freePort();
    const file = directory.file('balancer.conf');
    await writeFile(file, configure(port, directory.path));
    const [program, ...words] = command(file, directory.path);
    const balancer = new RunningBalancer(port, spawn(program, words, { stdio: 'pipe' }), directory);
    const listens = await eventually(async () => balancer.#child.exitCode !== null || (await isOpen(port)));
    if (listens && balancer.#child.exitCode === null) return balancer;
    const { said } = balancer;
    await balancer[Symbol.asyncDispose]();
    if (/in use|cannot bind/i.test(said)) return null;
    throw new Error(`${program} did not start:\n${said}`);
  }

  /** What it answers to a line on a Unix socket in its directory. */
  async ask(socket: string, line: string): Promise<string> {
    return text(net.connect(join(this.dir, socket)).end(`${line}\n`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) {
      this.#child.kill('SIGKILL');
      await once(this.#child, 'exit');
    }
    await this.#directory[Symbol.asyncDispose]();
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function isOpen(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
