// The streams that a command writes to, and the one person it may ask.

import { createInterface } from 'node:readline/promises';

export interface Terminal {
  /** What the command was asked for, as it is. */
  out(content: string | Uint8Array): void;
  /** Everything else. */
  err(text: string): void;
  /** Whether the question was answered with yes; null where there is nobody to ask. */
  ask(question: string): Promise<boolean | null>;
}

/** The terminal, or whatever stands in its place, of this process. A reader of stdout who has had enough is no error. */
export function openTerminal(): Terminal {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  return {
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
  };
}
