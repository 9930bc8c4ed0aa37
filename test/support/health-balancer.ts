// A load balancer of the test's own over several nodes: it asks each whether it is ready and sends new connections to those that are.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** A node, as whoever runs it knows it at the time; null while it is not there. */
export type BalancedNode = () => { readonly port: number; readonly ready: string } | null;

const checkInterval = 100;

/** Passes TCP on, as HAProxy does: a node is out at the first check that fails; where one does not take a connection, the next is tried. */
export class HealthBalancer implements AsyncDisposable {
  readonly port: number;
  readonly #listening: ReturnType<typeof createServer>;
  readonly #nodes: readonly BalancedNode[];
  readonly #ready = new Set<BalancedNode>();
  readonly #sockets = new Set<Socket>();
  readonly #checking: Promise<unknown>;
  #turn = 0;
  #closed = false;

  private constructor(listening: ReturnType<typeof createServer>, nodes: readonly BalancedNode[]) {
    this.#listening = listening;
    this.#nodes = nodes;
    this.port = (listening.address() as AddressInfo).port;
    listening.on('connection', (client) => this.#pass(client, this.#order()));
    this.#checking = Promise.all(nodes.map((node) => this.#check(node)));
  }

  static async over(nodes: readonly BalancedNode[]): Promise<HealthBalancer> {
    const listening = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
    await once(listening, 'listening');
    return new HealthBalancer(listening, nodes);
  }

  /** Whether it sends connections to that node. */
  sendsTo(node: BalancedNode): boolean {
    return this.#ready.has(node);
  }

  async #check(node: BalancedNode): Promise<void> {
    while (!this.#closed) {
      const there = node();
      const answer = there && (await fetch(there.ready).catch(() => null));
      await answer?.arrayBuffer();
      if (answer?.status === 200) this.#ready.add(node);
      else this.#ready.delete(node);
      await pause(checkInterval);
    }
  }

  /** One node after the other, those first that are ready. */
  #order(): BalancedNode[] {
    const at = (this.#turn += 1) % this.#nodes.length;
    const all = [...this.#nodes.slice(at), ...this.#nodes.slice(0, at)];
    return all.filter((node) => this.#ready.has(node));
  }

  #pass(client: Socket, [node, ...others]: BalancedNode[]): void {
    const there = node?.();
    if (!there) {
      if (others.length > 0) this.#pass(client, others);
      else client.destroy();
      return;
    }
    const server = connect({ host: '127.0.0.1', port: there.port });
    const refused = () => this.#pass(client, others);
    server.once('error', refused);
    server.once('connect', () => {
      server.off('error', refused);
      for (const socket of [client, server]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.once('close', () => this.#sockets.delete(socket));
      }
      client.once('close', () => server.destroy());
      server.once('close', () => client.destroySoon());
      client.pipe(server).pipe(client);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#listening.close();
    for (const socket of this.#sockets) socket.destroy();
    await this.#checking;
  }
}
