// Lines that nobody else is to read: typed at a terminal without an echo, or from whatever stdin is.

import type { ReadStream } from 'node:tty';
import { Secret } from '../secret.ts';
import { Failure } from './failure.ts';

const interrupt = 0x03;
const endOfInput = 0x04;
const backspace = 0x08;
const killLine = 0x15;
const rubout = 0x7f;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Reads stdin line by line, as bytes that can be wiped. What came after a line is kept for the next one. */
export class SecretLines {
  readonly #input: ReadStream;
  readonly #unread: number[] = [];
  #ended = false;

  constructor(input: ReadStream) {
    this.#input = input;
  }

  /**
   * The next line without its end; null where there is none any more. At a terminal the echo is off before `prompt` is
   * called, backspace and Ctrl-U correct what was typed, and Ctrl-C throws Failure.
   */
  async next(prompt: () => void): Promise<Secret | null> {
    const typed = this.#input.isTTY;
    if (typed) this.#input.setRawMode(true);
    try {
      prompt();
      return typed ? await this.#typedLine() : await this.#line();
    } finally {
      if (typed) this.#input.setRawMode(false);
      this.#input.pause();
    }
  }

  async #line(): Promise<Secret | null> {
    const line: number[] = [];
    for (;;) {
      const octet = await this.#octet();
      if (octet === null && line.length === 0) return null;
      if (octet === null || octet === lineFeed) break;
      line.push(octet);
    }
    if (line.at(-1) === carriageReturn) line.pop();
    return secretOf(line);
  }

  async #typedLine(): Promise<Secret | null> {
    let line: number[] = [];
    for (;;) {
      const octet = await this.#octet();
      switch (octet) {
        case interrupt:
          throw new Failure('interrupted: nothing was done');
        case carriageReturn:
        case lineFeed:
          return secretOf(line);
        case endOfInput:
        case null:
          return line.length === 0 ? null : secretOf(line);
        case backspace:
        case rubout:
          // The last character: in UTF-8 its first octet is the one that continues none.
          while (((line.pop() ?? 0) & 0xc0) === 0x80);
          break;
        case killLine:
          line = [];
          break;
        default:
          line.push(octet);
      }
    }
  }

  async #octet(): Promise<number | null> {
    while (this.#unread.length === 0) {
      if (this.#ended) return null;
      await this.#read();
    }
    return this.#unread.shift()!;
  }

  #read(): Promise<void> {
    const input = this.#input;
    return new Promise((resolve, reject) => {
      const settle = (done: () => void) => {
        input.off('data', came).off('end', ended).off('error', reject);
        done();
      };
      const came = (chunk: Buffer) => {
        this.#unread.push(...chunk);
        chunk.fill(0);
        input.pause();
        settle(resolve);
      };
      const ended = () => {
        this.#ended = true;
        settle(resolve);
      };
      input.on('data', came).once('end', ended).once('error', reject);
      input.resume();
    });
  }
}

function secretOf(octets: number[]): Secret {
  const secret = new Secret(Buffer.from(new Uint8Array(octets).buffer));
  octets.fill(0);
  return secret;
}
