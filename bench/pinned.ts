// A server under measurement: a process of its own, held to one core, and the CPU time that it takes.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** The server has a core of its own; the load, and all else that the bench does, runs on the other. */
export const serverCore = 1;
export const loadCore = 0;

/** The unit of times in /proc: USER_HZ, 100 on every Linux (proc(5), time(7)). */
const ticksPerSecond = 100;

/** A server that runs. */
export class Pinned implements AsyncDisposable {
  readonly #child: ChildProcess;

  /** Starts a program on the server's core, or on those named. */
  constructor(command: readonly string[], env: NodeJS.ProcessEnv = {}, cores = `${serverCore}`) {
    this.#child = spawn('taskset', ['-c', cores, ...command], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Waits for the lines of stdout that say it is ready, and gives their match. Throws where the program ends before. */
  async says(ready: RegExp): Promise<RegExpExecArray> {
    const stdout = this.#child.stdout!;
    let lines = '';
    for await (const line of createInterface(stdout)) {
      lines += `${line}\n`;
      const said = ready.exec(lines);
      if (!said) continue;
      stdout.resume();
      return said;
    }
    throw new Error(`The server ended, or closed its stdout, before it said ${ready}.`);
  }

  /** CPU-seconds of the process so far, user and system, with all its threads and children. */
  cpuSeconds(): number {
    return cpuSecondsOf(this.#child.pid!);
  }

  /** Resident memory of the process itself, in MiB. */
  residentMemory(): number {
    const [, kib] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.#child.pid!}/status`, 'latin1')) ?? [];
    return Number(kib) / 1024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill();
    await ended;
  }
}

/** CPU-seconds of a process so far, user and system, with all its threads and children. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The second field is the program's name in parentheses; user and system time are the fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const own = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean);
  return children.reduce((sum, child) => sum + cpuSecondsOf(Number(child)), own);
}
