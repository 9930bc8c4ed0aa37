// The streams that a command writes to, and the one person it may ask.

import { createInterface } from 'node:readline/promises';
import { styleText } from 'node:util';
import type { Secret } from '../secret.ts';
import type { Look } from './page.ts';
import { SecretLines } from './secret-lines.ts';

export interface Terminal {
  /** What the command was asked for, as it is. */
  out(content: string | Uint8Array): void;
  /** Everything else. */
  err(text: string): void;
  /** Whether the question was answered with yes; null where there is nobody to ask. */
  ask(question: string): Promise<boolean | null>;
  /**
   * What is typed without an echo; where stdin is no terminal, its next line. Null where nothing comes. Throws Failure
   * where the person interrupts it.
   */
  askSecret(question: string): Promise<Secret | null>;
  /** What stdout can show; absent where it is no terminal. */
  readonly look?: Look;
  /** Whether stderr shows colours. */
  readonly colours?: boolean;
}

/** The terminal, or whatever stands in its place, of this process. A reader of stdout who has had enough is no error. */
export function openTerminal(): Terminal {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  const secretLines = new SecretLines(process.stdin);
  const { isTTY, columns } = process.stdout;
  return {
    ...(isTTY && { look: { columns: columns || null, colours: showsColours(process.stdout) } }),
    colours: showsColours(process.stderr),
    out: (content) => void process.stdout.write(content),
    err: (text) => void process.stderr.write(text),
    async ask(question) {
      if (!process.stdin.isTTY || !process.stderr.isTTY) return null;
      const lines = createInterface({ input: process.stdin, output: process.stderr });
      try {
        return /^\s*y(es)?\s*$/i.test(await lines.question(`${question} [y/N] `));
      } finally {
        lines.close();
      }
    },
    async askSecret(question) {
      const { isTTY } = process.stdin;
      const answer = await secretLines.next(() => isTTY && process.stderr.write(question));
      if (isTTY) process.stderr.write('\n');
      return answer;
    },
  };
}

/** Node knows what the terminal can, and obeys NO_COLOR (https://no-color.org), FORCE_COLOR and NODE_DISABLE_COLORS. */
function showsColours(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && styleText('red', '.', { stream }) !== '.';
}
