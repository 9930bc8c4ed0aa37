// The devices: load.c, which makes each request over a connection and a full handshake of its own, or over kept ones.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { loadCore } from './pinned.ts';

/** Who connects, and what it wants to find in the reply (no white space). */
export interface Identity {
  readonly host: string;
  /** File with key and certificate; the password is empty. */
  readonly pkcs12: string;
  readonly expected: string;
}

export interface Outcome {
  readonly requests: number;
  readonly errors: number;
  readonly seconds: number;
}

/** Outcome of a run, and what the devices that it provisioned are named: `<name>-<n>`, n from 0. */
export interface NamedOutcome extends Outcome {
  readonly name: string;
}

/** How many requests a load makes at a time unless said. */
const usuallyAtOnce = 32;

/** No run takes longer, in seconds: on a machine that is busy with other things there are fewer requests. */
const longestRun = 4;

/** Compiles load.c into a directory. Throws where there is no C compiler or no libssl. */
export function compileLoad(dir: string): string {
  const program = join(dir, 'load');
  const source = new URL('load.c', import.meta.url).pathname;
  execFileSync('gcc', ['-O2', '-o', program, source, '-lssl', '-lcrypto', '-lpthread'], { stdio: 'inherit' });
  return program;
}

/** Of all loads, so that no two name their devices alike, nor as an earlier run did in a registry that is kept. */
const runId = randomBytes(4).toString('hex');
let runs = 0;

/** A load program with its identities opened, at rest until it is run. */
export class Load implements Disposable {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor(
    program: string,
    port: number,
    identities: readonly Identity[],
    call: 'device' | 'provision' | 'issue' | 'get',
    atOnce = usuallyAtOnce,
    {
      connections = 'new',
      tls = '1.3',
      token = '',
      path = '',
    }: { connections?: 'new' | 'resumed' | 'kept'; tls?: '1.2' | '1.3'; token?: string; path?: string } = {},
  ) {
    const file = `${program}-${port}-${call}-${connections}-${tls}-${atOnce}.txt`;
    writeFileSync(file, identities.map(({ host, pkcs12, expected }) => `${host} ${pkcs12} ${expected}\n`).join(''));
    this.#child = spawn(
      'taskset',
      ['-c', `${loadCore}`, program, `${port}`, file, `${atOnce}`, call, connections, tls],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
        env: { ...process.env, LOAD_TOKEN: token, LOAD_PATH: path },
      },
    );
    this.#answers = createInterface(this.#child.stdout!)[Symbol.asyncIterator]();
  }

  /** Makes so many requests, within bounds of time, and gives what became of them. */
  async run(requests: number): Promise<NamedOutcome> {
    runs += 1;
    const name = `device-${runId}-${runs}`;
    this.#child.stdin!.write(`${requests} ${longestRun} ${name}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error('the load program has ended');
    const [made, errors, seconds] = value.split(' ').map(Number) as [number, number, number];
    return { name, requests: made, errors, seconds };
  }

  [Symbol.dispose](): void {
    this.#child.stdin!.end();
  }
}
