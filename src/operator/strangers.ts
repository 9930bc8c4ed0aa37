// Connections of which nobody knows yet who they are: bounded, so that a crowd of them cannot keep operators out.

import type { Socket } from 'node:net';

/**
 * Holds the connections until a request of theirs has been found to be somebody's. Beyond the bound the oldest ends: a
 * request that somebody means takes moments to arrive, and one that is spun out to hold a place does not keep it.
 */
export class Strangers implements Disposable {
  readonly #most: number;
  /** By both of their ends, the oldest first. */
  readonly #sockets = new Map<string, Socket>();
  /** Those of them that HTTP does not know of yet. */
  readonly #unserved = new Set<string>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Takes up a connection; false where it has ended already. */
  add(socket: Socket): boolean {
    const key = keyOf(socket);
    if (key === null) {
      socket.destroy();
      return false;
    }
    if (this.#sockets.size >= this.#most) this.#endOldest();
    this.#sockets.set(key, socket);
    this.#unserved.add(key);
    socket.once('close', () => {
      if (this.#sockets.get(key) === socket) this.#forget(key);
    });
    return true;
  }

  /** Notes that a connection is HTTP's from now on, which looks after its end; it may be the TLS socket over it. */
  serve(socket: Socket): void {
    const key = keyOf(socket);
    if (key !== null) this.#unserved.delete(key);
  }

  /** Lets go of a connection that is somebody's; it may be the TLS socket over the one taken up. */
  remove(socket: Socket): void {
    const key = keyOf(socket);
    if (key !== null) this.#forget(key);
  }

  #endOldest(): void {
    const [oldest] = this.#sockets;
    if (oldest === undefined) return;
    this.#forget(oldest[0]);
    oldest[1].destroy();
  }

  #forget(key: string): void {
    this.#sockets.delete(key);
    this.#unserved.delete(key);
  }

  /** Ends those that nobody else would end. */
  [Symbol.dispose](): void {
    for (const key of [...this.#unserved]) {
      const socket = this.#sockets.get(key);
      this.#forget(key);
      socket?.destroy();
    }
  }
}

/** Both ends of a TCP connection: the same for a raw socket and for the TLS socket over it. */
function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string | null {
  return remoteAddress === undefined ? null : `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
