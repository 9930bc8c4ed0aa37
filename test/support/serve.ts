// A server as a process of its own, for stories in which it dies.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.ts';

const launcher = fileURLToPath(new URL('../../fleetroot', import.meta.url));

/** `./fleetroot serve` in a process. */
export class ServeProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly #exited: Promise<unknown>;
  /** What it has said so far on both of its outputs. */
  said = '';

  private constructor(child: ChildProcess) {
    this.child = child;
    this.#exited = once(child, 'exit');
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (part: Buffer) => {
        this.said += part.toString('utf8');
        child.emit('said');
      });
    }
  }

  /**
   * Starts it and waits until it serves; rejects with what it said where it ends instead. A port of before may be the own
   * end of somebody's connection meanwhile, and is given back.
   */
  static start(dir: string, ...options: string[]): Promise<ServeProcess> {
    return ServeProcess.of([launcher], dir, ...options);
  }

  /** The same of another program than the one at hand, which is called by these words. */
  static of(program: readonly string[], dir: string, ...options: string[]): Promise<ServeProcess> {
    return eventually(() =>
      ServeProcess.#startOnce(program, dir, options).catch((error: unknown) => {
        if (String(error).includes(': it is in use.')) return null;
        throw error;
      }),
    );
  }

  static async #startOnce(
    [command, ...first]: readonly string[],
    dir: string,
    options: readonly string[],
  ): Promise<ServeProcess> {
    const started = new ServeProcess(
      spawn(command!, [...first, 'serve', '--data', dir, '--operator-port', '0', ...options], {
        stdio: 'pipe',
        // Unless the story is about several.
        env: { FLEETROOT_GATEWAY_WORKERS: '1', ...process.env },
      }),
    );
    while (!started.said.includes('Ready.')) {
      if (started.child.exitCode !== null)
        throw new Error(`serve ended with ${started.child.exitCode}:\n${started.said}`);
      await Promise.race([once(started.child, 'said'), started.#exited]);
    }
    return started;
  }

  /** The first gateway port. */
  get port(): number {
    return Number(/devices: port (\d+)/.exec(this.said)?.[1]);
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
