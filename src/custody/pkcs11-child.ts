// One run of the process that holds an HSM's token, as the server sees it.

import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';

import { CustodyProblem } from './custodian.ts';
import { TokenGone } from './pkcs11-errors.ts';
import type { Answer, Call, Failure, MadeKey, Message, Request, Start } from './pkcs11-messages.ts';

/** How long it may take to close the token's sessions when it is let go, in milliseconds. */
const farewell = 2_000;

/** The token did not open; `refused` is the mark of the PIN where it was that, not to be tried again. */
export class TokenClosed extends CustodyProblem {
  readonly refused: Buffer | null;

  constructor({ fault, message, hint }: Failure, refused: Buffer | null) {
    super(fault, message, hint);
    this.refused = refused;
  }
}

interface Pending {
  resolve: (value: Buffer | MadeKey | null) => void;
  reject: (reason: CustodyProblem) => void;
  timer: NodeJS.Timeout;
}

/**
 * Starts the process, and gives it once the token is open. Takes `patience` milliseconds at the most,
 * and ends with `signal`. Throws TokenClosed with what stands in the way. The variables `withheld` are not in its
 * environment: the library of an HSM's maker, and a core file of its process, are nobody's to have the server's secrets.
 */
export async function startTokenProcess(
  start: Start,
  { withheld, patience, signal }: { withheld: readonly string[]; patience: number; signal: AbortSignal },
): Promise<TokenProcess> {
  const env: NodeJS.ProcessEnv = { ...process.env };
  for (const name of withheld) delete env[name];
  const child = fork(new URL('./pkcs11-process.ts', import.meta.url), {
    serialization: 'advanced',
    // What the HSM maker's library prints is nobody's reply.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // The server's OpenSSL settings are not the library's.
    execArgv: [],
    // One of libuv's threads for each session.
    env: { ...env, UV_THREADPOOL_SIZE: String(start.sessions) },
  });
  const { promise, resolve, reject } = Promise.withResolvers<TokenProcess>();
  const failed = (message: string, hint: string | null = null) =>
    reject(new TokenClosed({ fault: 'unavailable', message, hint, gone: false }, null));
  const timer = setTimeout(
    failed,
    patience,
    `The HSM did not let its token be opened within ${patience} ms.`,
    'Check that the HSM is reachable; it is tried again.',
  );
  child.once('error', (error) =>
    failed(`The process that is to hold the HSM's token does not start: ${error.message}.`),
  );
  child.once('exit', (code, signal) =>
    failed(`The process that was to open the HSM's token ended (${signal ?? code}).`),
  );
  child.once('message', (message: Message) => {
    if (message.kind === 'open') resolve(new TokenProcess(child));
    else if (message.kind === 'closed') reject(new TokenClosed(message.failure, message.refused));
  });
  const stop = () => failed('The server is ending, and its HSM is not opened any more.');
  signal.addEventListener('abort', stop);
  child.send(start, ignore);
  try {
    return await promise;
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

// A message that does not arrive is told by the end of the process.
const ignore = (): void => {};

/** A process whose token is open. */
export class TokenProcess {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<unknown>;
  #outbox: Request[] = [];
  #asked = 0;
  #heard = performance.now();
  #retired = false;
  #closed: Promise<void> | null = null;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once('exit', resolve));
    child.on('message', (message: Message) => {
      if (message.kind === 'answers') for (const answer of message.answers) this.#answered(answer);
    });
    child.on('error', ignore);
    child.once('exit', (code, signal) => this.#ended(`${signal ?? code}`));
  }

  /** Whether it still takes calls: its token is open, and it has not been found to hang. */
  get serves(): boolean {
    return !this.#retired;
  }

  /** Resolves when the process has ended. */
  get exited(): Promise<unknown> {
    return this.#exited;
  }

  /**
   * Asks the token; waits `patience` milliseconds at the most. Throws CustodyProblem: a TokenGone where the token, the
   * login or the process went away, after which nothing more is to be asked of this process.
   */
  ask(call: Call, patience: number): Promise<Buffer | MadeKey | null> {
    return new Promise((resolve, reject) => {
      const number = (this.#asked += 1);
      const timer = setTimeout(() => this.#tooLate(number, patience), patience);
      this.#pending.set(number, { resolve, reject, timer });
      this.#send({ number, call });
    });
  }

  /** Lets the process go once what it was asked is answered or given up: in no more than their time-outs. */
  retire(): void {
    this.#retired = true;
    if (this.#pending.size === 0) void this.close();
  }

  /** Lets the process end in its own way, and then in ours. Resolves when it has. */
  close(): Promise<void> {
    this.#retired = true;
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), farewell);
    if (this.#child.connected) this.#child.disconnect();
    await this.#exited;
    clearTimeout(timer);
  }

  /** Requests of one turn of the event loop travel together: the way costs more than the message. */
  #send(request: Request): void {
    if (this.#outbox.length === 0) {
      setImmediate(() => {
        if (this.#child.connected) this.#child.send(this.#outbox, ignore);
        this.#outbox = [];
      });
    }
    this.#outbox.push(request);
  }

  #answered(answer: Answer): void {
    this.#heard = performance.now();
    const pending = this.#take(answer.number);
    if (!pending) return;
    if ('value' in answer) pending.resolve(answer.value);
    else pending.reject(problemOf(answer.failure));
    if ('failure' in answer && answer.failure.gone) this.retire();
    this.#endIfRetired();
  }

  /** One call that is late may be a slow one; where nothing has been answered all the while, the HSM hangs. */
  #tooLate(number: number, patience: number): void {
    const hangs = performance.now() - this.#heard >= patience;
    this.#take(number)?.reject(
      new CustodyProblem(
        'unavailable',
        `The HSM did not answer within ${Math.round(patience)} ms.`,
        'Check that the HSM is reachable and not overloaded; it is tried again.',
      ),
    );
    this.#send({ number, forget: true });
    if (hangs) this.retire();
    this.#endIfRetired();
  }

  #endIfRetired(): void {
    if (this.#retired && this.#pending.size === 0) void this.close();
  }

  #ended(how: string): void {
    this.#retired = true;
    for (const number of [...this.#pending.keys()]) {
      this.#take(number)?.reject(new TokenGone(`The process that held the HSM's token ended (${how}).`));
    }
  }

  #take(number: number): Pending | undefined {
    const pending = this.#pending.get(number);
    this.#pending.delete(number);
    clearTimeout(pending?.timer);
    return pending;
  }
}

function problemOf({ fault, message, hint, gone }: Failure): CustodyProblem {
  return gone ? new TokenGone(message) : new CustodyProblem(fault, message, hint);
}
