// A back end of an account, as a real HTTP or HTTPS server that remembers what it was asked.

import { once } from 'node:events';
import http, { type IncomingMessage, type RequestListener } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly trailers: IncomingMessage['trailers'];
  readonly body: Buffer;
  /** The common name of the client certificate, over HTTPS. */
  readonly client: string | null;
}

/** A back end while it is open. Answers 200 with `{"from":"back end"}` unless told otherwise. */
export class BackEnd implements AsyncDisposable {
  readonly asked: Asked[] = [];
  readonly #server: http.Server;
  /** What it answers. */
  answer: RequestListener = (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'x-back-end': 'yes' });
    response.end('{"from":"back end"}');
  };

  private constructor(server: http.Server) {
    this.#server = server;
  }

  /** Opens it on a free port; with `tls` over HTTPS. */
  static async open(tls?: https.ServerOptions): Promise<BackEnd> {
    const server = tls ? https.createServer(tls) : http.createServer();
    const backEnd = new BackEnd(server);
    server.on('request', (request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('error', () => undefined);
      request.on('end', () => {
        const socket = request.socket as Partial<TLSSocket>;
        backEnd.asked.push({
          method: request.method ?? '',
          url: request.url ?? '',
          headers: request.headers,
          rawHeaders: request.rawHeaders,
          trailers: request.trailers,
          body: Buffer.concat(parts),
          client: socket.getPeerX509Certificate?.()?.subject ?? null,
        });
        backEnd.answer(request, response);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return backEnd;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** What it was asked last. */
  get last(): Asked {
    const last = this.asked.at(-1);
    if (!last) throw new Error('The back end was asked nothing.');
    return last;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
