// One gateway process as the control process has it: started, told, asked, and ended where it does not hear.

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { errorOf } from '../registry/forwarding-store.ts';
import { ProcessChannel } from './process-channel.ts';
import type { Answers, FromWorker, Start, ToWorker } from './worker-messages.ts';

const program = fileURLToPath(new URL('./gateway-worker.ts', import.meta.url));

/** A process that has not heard a change after so long, in milliseconds, may serve who is revoked: it is ended. */
const hearsWithin = 5_000;
/** How long an answer is waited for, in milliseconds. */
const answersWithin = 5_000;

/** What it says that is not about itself. */
export interface Listening {
  onWrite(message: Extract<FromWorker, { kind: 'write' }>): void;
  onOwner(account_id: string): void;
  /** It has heard or acted on more changes than before. */
  onConfirmed(): void;
}

/** How a process ended: in words. */
export type End = string;

export class WorkerProcess {
  readonly number: number;
  readonly instance: string;
  /** The gateway's ports; rejects with why it could not start, where it ends before it listens. */
  readonly listening: Promise<readonly number[]>;
  readonly ended: Promise<End>;
  readonly #child: ChildProcess;
  readonly #channel: ProcessChannel<ToWorker>;
  readonly #loaded = Promise.withResolvers<void>();
  readonly #answers = new Map<number, PromiseWithResolvers<unknown>>();
  #lastAsked = 0;
  /** The last change that it was told, has heard, has acted on. */
  #told = 0;
  #heard = 0;
  #acted = 0;
  #overdue: NodeJS.Timeout | null = null;
  #started = false;
  #gone = false;

  /** Starts the process, which loads its code and waits for `start`. */
  constructor(number: number, instance: string, listening: Listening) {
    this.number = number;
    this.instance = instance;
    // What `serve` was started with is the gateway's, too: OpenSSL's configuration above all.
    this.#child = fork(program, { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#channel = new ProcessChannel(this.#child);
    const ports = Promise.withResolvers<readonly number[]>();
    this.listening = ports.promise;
    this.listening.catch(() => undefined);
    this.#loaded.promise.catch(() => undefined);
    this.#child.on('message', (messages: FromWorker[]) => {
      for (const message of messages) this.#take(message, listening, ports);
    });
    const { promise: ended, resolve } = Promise.withResolvers<End>();
    this.ended = ended;
    const end = (how: End) => {
      if (this.#gone) return;
      this.#gone = true;
      if (this.#overdue !== null) clearTimeout(this.#overdue);
      const error = new Error(`The gateway process ${number} ${how}.`);
      ports.reject(error);
      this.#loaded.reject(error);
      for (const { reject } of this.#answers.values()) reject(error);
      resolve(how);
    };
    this.#child.once('exit', (code, signal) => end(signal === null ? `ended with ${code}` : `was ended by ${signal}`));
    this.#child.once('error', (error) => end(`could not be started: ${error.message}`));
  }

  get pid(): number | null {
    return this.#child.pid ?? null;
  }

  /** Whether it may serve devices: it has been told to, and has not ended. */
  get serves(): boolean {
    return this.#started && !this.#gone;
  }

  /** The last change that it has heard; acted on where `acted`. */
  upTo(acted: boolean): number {
    return acted ? this.#acted : this.#heard;
  }

  /** Has it serve, once it is loaded. `told` is the number of the last change: what was before it reads by itself. */
  async start(start: () => { message: Start; told: number }): Promise<readonly number[]> {
    await this.#loaded.promise;
    const { message, told } = start();
    this.#told = this.#heard = this.#acted = told;
    this.#started = true;
    this.tell(message);
    return this.listening;
  }

  tell(message: ToWorker): void {
    this.#channel.send(message);
    if (message.kind !== 'changes') return;
    this.#told = message.number;
    this.#overdue ??= setTimeout(() => this.#requireHeard(message.number), hearsWithin);
  }

  /** It may be stopped, or hang: what it would serve meanwhile it would serve by what is no longer so. */
  #requireHeard(number: number): void {
    this.#overdue = null;
    if (this.#heard < number) this.kill();
    else if (this.#heard < this.#told) {
      const next = this.#told;
      this.#overdue = setTimeout(() => this.#requireHeard(next), hearsWithin);
    }
  }

  /** Asks it. Rejects where it has not answered after a while, or ends before. */
  async ask<What extends keyof Answers>(what: What, within = answersWithin): Promise<Answers[What]> {
    if (this.#gone) throw new Error(`The gateway process ${this.number} has ended.`);
    const id = (this.#lastAsked += 1);
    const answer = Promise.withResolvers<unknown>();
    this.#answers.set(id, answer);
    const late = () => answer.reject(new Error(`The gateway process ${this.number} does not answer.`));
    const timer = setTimeout(late, within);
    this.tell({ kind: 'ask', id, what });
    try {
      return (await answer.promise) as Answers[What];
    } finally {
      clearTimeout(timer);
      this.#answers.delete(id);
    }
  }

  #take(message: FromWorker, listening: Listening, ports: PromiseWithResolvers<readonly number[]>): void {
    switch (message.kind) {
      case 'loaded':
        return this.#loaded.resolve();
      case 'listening':
        return ports.resolve(message.ports);
      case 'failed':
        ports.reject(errorOf(message.failure));
        return this.kill();
      case 'write':
        return listening.onWrite(message);
      case 'heard':
        this.#heard = message.number;
        return listening.onConfirmed();
      case 'acted':
        this.#acted = message.number;
        return listening.onConfirmed();
      case 'answer': {
        const answer = this.#answers.get(message.id);
        if ('value' in message.outcome) answer?.resolve(message.outcome.value);
        else answer?.reject(errorOf(message.outcome));
        return;
      }
      case 'owner':
        return listening.onOwner(message.account_id);
    }
  }

  /** Ends it at once. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
