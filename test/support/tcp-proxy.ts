// A TCP proxy between a program and its server: it breaks connections, holds them up, or loses one reply.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** Passes everything on until it is told otherwise. */
export class TcpProxy implements AsyncDisposable {
  readonly port: number;
  readonly #listening: ReturnType<typeof createServer>;
  readonly #pairs = new Set<Pair>();
  #state: 'open' | 'cut' | 'stalled' = 'open';
  /** What the next request that is to get lost has in it, what gets lost, and who waits for that. */
  #losing: { text: Buffer; what: 'request' | 'reply'; lost: () => void } | null = null;
  /** Connections that have been passed on since the start. */
  accepted = 0;

  private constructor(listening: ReturnType<typeof createServer>, target: { host: string; port: number }) {
    this.#listening = listening;
    this.port = (listening.address() as AddressInfo).port;
    listening.on('connection', (client) => this.#accept(client, target));
  }

  /** Listens on a port of 127.0.0.1 for a server. */
  static async to(port: number, host = '127.0.0.1'): Promise<TcpProxy> {
    const listening = createServer().listen(0, '127.0.0.1');
    await once(listening, 'listening');
    return new TcpProxy(listening, { host, port });
  }

  /** A URL whose server is reached by way of this. */
  through(url: string): string {
    const through = new URL(url);
    through.host = `127.0.0.1:${this.port}`;
    return through.href;
  }

  /** Breaks all connections and every new one, as a server does that is not there. */
  cut(): void {
    this.#state = 'cut';
    for (const pair of this.#pairs) destroy(pair);
  }

  /** Passes nothing on any more, as a network does that loses everything: connections stay open, new ones too. */
  stall(): void {
    this.#state = 'stalled';
    for (const { client, server } of this.#pairs) {
      client.pause();
      server.pause();
    }
  }

  /** Passes on again, also what was held up. */
  resume(): void {
    this.#state = 'open';
    for (const { client, server } of this.#pairs) {
      client.resume();
      server.resume();
    }
  }

  /**
   * Of the next request with `text` in it, the server gets nothing (`request`), or the client never gets an answer to it
   * (`reply`): the connection is broken instead. Resolves when that has happened.
   */
  lose(what: 'request' | 'reply', text: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#losing = { text: Buffer.from(text), what, lost: resolve };
    return promise;
  }

  #accept(client: Socket, target: { host: string; port: number }): void {
    client.on('error', () => undefined);
    if (this.#state === 'cut') return void client.destroy();
    this.accepted += 1;
    const server = connect(target);
    const pair = { client, server };
    this.#pairs.add(pair);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', () => destroy(pair));
      socket.on('close', () => {
        destroy(pair);
        this.#pairs.delete(pair);
      });
      if (this.#state === 'stalled') socket.pause();
    }
    let lost: (() => void) | null = null;
    client.on('data', (chunk: Buffer) => {
      const losing = this.#losing;
      if (losing && chunk.includes(losing.text)) {
        this.#losing = null;
        lost = losing.lost;
        if (losing.what === 'request') {
          destroy(pair);
          return lost();
        }
      }
      server.write(chunk);
    });
    server.on('data', (chunk: Buffer) => {
      if (lost) {
        destroy(pair);
        return lost();
      }
      client.write(chunk);
    });
    client.on('end', () => server.end());
    server.on('end', () => client.end());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#listening.close();
    await once(this.#listening, 'close');
  }
}

function destroy({ client, server }: Pair): void {
  client.destroy();
  server.destroy();
}
