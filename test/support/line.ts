// A line to the gateway held by hand: one TLS connection on which a test says and hears exactly what it wants.

import { readFile } from 'node:fs/promises';
import { once } from 'node:events';
import net from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { Caller } from './image.ts';

/** One connection, from its handshake on. */
export class Line implements Disposable {
  readonly socket: TLSSocket;
  readonly #raw: net.Socket;
  readonly #host: string;
  #heard = Buffer.alloc(0);
  #ended = false;

  private constructor(socket: TLSSocket, raw: net.Socket, host: string) {
    this.socket = socket;
    this.#raw = raw;
    this.#host = host;
    socket.on('data', (part: Buffer) => {
      this.#heard = Buffer.concat([this.#heard, part]);
      socket.emit('heard');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#ended = true;
      socket.emit('heard');
    });
  }

  /** Connects as the caller. */
  static async open(caller: Caller, { tls = 'TLSv1.3' }: { tls?: 'TLSv1.2' | 'TLSv1.3' } = {}): Promise<Line> {
    const { hostname, port, host } = new URL(caller.url);
    const raw = net.connect({ host: '127.0.0.1', port: Number(port) });
    const socket = connect({
      socket: raw,
      servername: hostname,
      ca: await readFile(caller.trusts),
      minVersion: tls,
      maxVersion: tls,
      ...(caller.certificate === null ? {} : { cert: await readFile(caller.certificate) }),
      ...(caller.key === null ? {} : { key: await readFile(caller.key) }),
    });
    await once(socket, 'secureConnect');
    return new Line(socket, raw, host);
  }

  /** Sends a request, its body given or announced (`length`) and sent later. */
  send(
    method: string,
    path: string,
    { body, length, fields = [] }: { body?: string; length?: number; fields?: string[] } = {},
  ): void {
    const announced = length ?? (body === undefined ? undefined : Buffer.byteLength(body));
    const head = [`${method} ${path} HTTP/1.1`, `Host: ${this.#host}`, ...fields];
    if (announced !== undefined) head.push('Content-Type: application/json', `Content-Length: ${announced}`);
    this.socket.write(`${head.join('\r\n')}\r\n\r\n${body ?? ''}`);
  }

  /** The next reply, or null where the connection ends without one. */
  async reply(): Promise<{ status: number; body: Buffer } | null> {
    for (;;) {
      const end = this.#heard.indexOf('\r\n\r\n');
      if (end >= 0) {
        const head = this.#heard.subarray(0, end).toString('latin1');
        const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
        const whole = end + 4 + length;
        if (this.#heard.length >= whole) {
          const body = this.#heard.subarray(end + 4, whole);
          this.#heard = this.#heard.subarray(whole);
          return { status: Number(head.split(' ')[1]), body };
        }
      }
      if (this.#ended) return null;
      await this.#more();
    }
  }

  /** Waits for `100 Continue`: the server is about to read the body. */
  async interim(): Promise<void> {
    const wanted = 'HTTP/1.1 100 Continue\r\n\r\n';
    while (this.#heard.length < wanted.length && !this.#ended) await this.#more();
    if (!this.#heard.toString('latin1').startsWith(wanted)) throw new Error(`Not to be continued: ${this.#heard}`);
    this.#heard = this.#heard.subarray(wanted.length);
  }

  /** Waits for more, or for the end, which also follows an error: what was written to who has ended it already makes one. */
  #more(): Promise<void> {
    return new Promise((resolve) => void this.socket.once('heard', () => resolve()));
  }

  /** Waits until the other side has ended the connection. */
  async closed(): Promise<void> {
    while (!this.#ended) await this.#more();
  }

  /** Closes in order, as a client does that has what it wanted. */
  async hangUp(): Promise<void> {
    this.socket.end();
    await this.closed();
  }

  /** Breaks off, as a client does whose power fails. */
  async breakOff(): Promise<void> {
    this.#raw.resetAndDestroy();
    this.socket.destroy();
    await this.closed();
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
