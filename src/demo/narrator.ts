// How the story looks: chapters, and a line for everything that came true; colours where a person looks.

import type { WriteStream } from 'node:tty';

export interface Narrator {
  title(text: string): void;
  chapter(text: string): void;
  /** Something came true. */
  done(what: string, how: string): void;
  /** Somebody was kept out, as should be. */
  turnedAway(who: string, why: string): void;
  /** Something did not come true. */
  failed(what: string, why: string): void;
  command(line: string): void;
  plain(text: string): void;
}

/** Tells on a stream; plain text where it is no terminal or NO_COLOR is set. */
export function openNarrator(stream: WriteStream): Narrator {
  const coloured = stream.isTTY && !process.env['NO_COLOR'];
  const paint = (code: number, text: string) => (coloured ? `\x1b[${code}m${text}\x1b[0m` : text);
  const line = (text: string) => void stream.write(`${text}\n`);
  const [bold, red, green, yellow, cyan, dim] = [1, 31, 32, 33, 36, 2];
  return {
    title: (text) => line(paint(bold, text)),
    chapter: (text) => line(`\n${paint(bold, text)}`),
    done: (what, how) => line(`  ${paint(green, '✓')} ${what}  ${paint(dim, how)}`),
    turnedAway: (who, why) => line(`  ${paint(yellow, '✗')} ${who}  ${paint(dim, why)}`),
    failed: (what, why) => line(`  ${paint(red, '!')} ${what}  ${paint(red, why)}`),
    command: (text) => line(`  ${paint(cyan, text)}`),
    plain: line,
  };
}
