// Connections of whom nobody knows yet who they are: bounded, so that idle strangers cannot crowd out devices.

import type { Socket } from 'node:net';

/**
 * Holds the connections until a request of theirs has been found to be of somebody, oldest first. Beyond the bound those
 * that have sent nothing end, oldest first; a handshake that has begun ends only by its time-out, as does one that is
 * done and followed by nothing.
 */
export class Unauthenticated implements Disposable {
  readonly #most: number;
  readonly #ended: () => void;
  readonly #sockets = new Map<string, Socket>();
  /** Those of them that may have sent nothing yet: nobody is looked at twice, or a flood would cost its square. */
  readonly #silent = new Map<string, Socket>();
  readonly #since = new Map<string, number>();

  /** `ended` is called for each that ends for lack of room. */
  constructor(most: number, ended: () => void = () => {}) {
    this.#most = most;
    this.#ended = ended;
  }

  /** Takes up a connection; false where there is no place, and it has been ended. */
  add(socket: Socket): boolean {
    const key = keyOf(socket);
    if (key === null) {
      socket.destroy();
      return false;
    }
    this.#sockets.set(key, socket);
    this.#silent.set(key, socket);
    this.#since.set(key, performance.now());
    socket.once('close', () => {
      if (this.#sockets.get(key) === socket) this.#forget(key);
    });
    if (this.#sockets.size > this.#most) this.#endOldestSilent();
    return !socket.destroyed;
  }

  /** How many there are. */
  get size(): number {
    return this.#sockets.size;
  }

  /** When the connection below a TLS socket was taken up, by `performance.now()`; null where it is not among these. */
  since(socket: Socket): number | null {
    const key = keyOf(socket);
    return (key !== null && this.#since.get(key)) || null;
  }

  /** Lets go of a connection that is somebody's, or has failed; it may be the TLS socket over the one taken up. */
  remove(socket: Socket): void {
    const key = keyOf(socket);
    if (key !== null) this.#forget(key);
  }

  #endOldestSilent(): void {
    for (const [key, socket] of this.#silent) {
      this.#silent.delete(key);
      if (socket.bytesRead > 0) continue;
      this.#sockets.delete(key);
      this.#since.delete(key);
      this.#ended();
      socket.destroy();
      return;
    }
  }

  #forget(key: string): void {
    this.#sockets.delete(key);
    this.#silent.delete(key);
    this.#since.delete(key);
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
