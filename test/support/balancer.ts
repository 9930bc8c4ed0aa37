// A load balancer of the test's own: takes connections in and passes them on from an address of its own, saying what it is told to.

import { once } from 'node:events';
import net from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

export interface BalancerOptions {
  /** The address that it comes from; loopback has as many as are wanted. */
  readonly from: string;
  /** What it says of each connection before the client's bytes. */
  header: Uint8Array;
  /** The sizes of the pieces in which the first bytes of a connection go out, header and client's together; else all is one. */
  readonly pieces?: readonly number[];
}

/** Passes TCP through to a port of this machine. */
export class Balancer implements Disposable {
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #options: BalancerOptions;

  private constructor(server: net.Server, options: BalancerOptions) {
    this.#server = server;
    this.#options = options;
  }

  static async start(to: number, options: BalancerOptions): Promise<Balancer> {
    const server = net.createServer();
    const balancer = new Balancer(server, options);
    server.on('connection', (client) => void balancer.#pass(client, to));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return balancer;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** What it says from now on. */
  set header(header: Uint8Array) {
    this.#options.header = header;
  }

  async #pass(client: net.Socket, to: number): Promise<void> {
    const { from, header, pieces = [] } = this.#options;
    const node = net.connect({ host: '127.0.0.1', port: to, localAddress: from, noDelay: true });
    for (const socket of [client, node]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.once('close', () => node.destroy());
    node.once('close', () => client.destroy());
    const [first] = (await once(client, 'data')) as [Buffer];
    client.pause();
    let rest = Buffer.concat([header, first]);
    for (const size of pieces) {
      node.write(rest.subarray(0, size));
      rest = rest.subarray(size);
      // Each piece is read before the next comes, as a rule; nothing depends on it.
      await nextTurn();
      await nextTurn();
    }
    node.write(rest);
    client.pipe(node).pipe(client);
  }

  [Symbol.dispose](): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
