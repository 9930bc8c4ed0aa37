// Connections that have not finished their handshake: bounded, so that idle strangers cannot crowd out devices.

import type { Socket } from 'node:net';

/**
 * Holds the connections whose handshake is not done, oldest first. Beyond the bound those that have sent nothing end,
 * oldest first; a handshake that has begun ends only by its time-out.
 */
export class Unauthenticated implements Disposable {
  readonly #most: number;
  readonly #sockets = new Map<string, Socket>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Takes up a connection; false where there is no place, and it has been ended. */
  add(socket: Socket): boolean {
    const key = keyOf(socket);
    if (key === null) {
      socket.destroy();
      return false;
    }
    this.#sockets.set(key, socket);
    socket.once('close', () => {
      if (this.#sockets.get(key) === socket) this.#sockets.delete(key);
    });
    if (this.#sockets.size > this.#most) this.#endOldestSilent();
    return !socket.destroyed;
  }

  /** Lets go of a connection whose handshake is done or has failed; it may be the TLS socket over the one taken up. */
  remove(socket: Socket): void {
    const key = keyOf(socket);
    if (key !== null) this.#sockets.delete(key);
  }

  #endOldestSilent(): void {
    for (const [key, socket] of this.#sockets) {
      if (socket.bytesRead > 0) continue;
      this.#sockets.delete(key);
      socket.destroy();
      return;
    }
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets.values()) socket.destroy();
    this.#sockets.clear();
  }
}

/** Both ends of a TCP connection: the same for a raw socket and for the TLS socket over it. */
function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string | null {
  return remoteAddress === undefined ? null : `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
