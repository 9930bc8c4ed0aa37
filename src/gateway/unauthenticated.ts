// Connections of whom nobody knows yet who they are: bounded, so that neither idle strangers nor one address crowd out devices.

import type { Socket } from 'node:net';
import { Sets } from './sets.ts';
import { Tally } from './tally.ts';

/** A connection from its first moment until it is somebody's. */
export interface Entrant {
  readonly socket: Socket;
  /** The peer's address; IPv4 as such, also through an IPv6 socket, and the client's where a load balancer names it. */
  readonly address: string;
  /** The address that it came to, likewise. */
  readonly localAddress: string;
  /** When it was taken up, by `performance.now()`. */
  readonly since: number;
}

/** What is kept of an entrant. */
interface Kept extends Entrant {
  address: string;
  localAddress: string;
  /** How many octets a load balancer has said before it. */
  headerSize: number;
  /** Whether it waits for its turn, and takes no place. */
  waiting: boolean;
  /** What it counts under: its network. */
  network: string;
}

/**
 * Holds the connections until a request of theirs has been found to be of somebody, oldest first. Beyond the bound those
 * that have sent nothing end, oldest first. Where all have begun a handshake, one ends of the address that has the most of
 * them: its oldest, or the newcomer that comes from there itself. The others end only by their time-outs. Those that wait
 * for their turn are held beside, without a bound.
 */
export class Unauthenticated implements Disposable {
  readonly #most: number;
  readonly #ended: () => void;
  /** By the socket that was taken up. */
  readonly #entrants = new Map<Socket, Kept>();
  /** Those of them that may have sent nothing yet: nobody is looked at twice, or a flood would cost its square. */
  readonly #silent = new Set<Kept>();
  /** Those that take a place, by network. */
  readonly #placed = new Sets<Kept>();
  readonly #places = new Tally();
  #waiting = 0;

  /** `ended` is called for each that ends for lack of room. */
  constructor(most: number, ended: () => void = () => {}) {
    this.#most = most;
    this.#ended = ended;
  }

  /** Takes up a connection; null where there is no place, and it has been ended. */
  add(socket: Socket): Entrant | null {
    // It has closed before it was taken up.
    if (socket.remoteAddress === undefined) {
      socket.destroy();
      return null;
    }
    const address = canonicalAddress(socket.remoteAddress);
    const localAddress = canonicalAddress(socket.localAddress);
    const entrant: Kept = {
      socket,
      since: performance.now(),
      address,
      localAddress,
      headerSize: 0,
      waiting: false,
      network: networkOf(address),
    };
    this.#entrants.set(socket, entrant);
    this.#silent.add(entrant);
    this.#place(entrant);
    socket.once('close', () => this.#forget(entrant));
    this.#makeRoom(entrant);
    return socket.destroyed ? null : entrant;
  }

  /** How many there are, those that wait among them. */
  get size(): number {
    return this.#entrants.size;
  }

  /** How many wait for their turn. */
  get waiting(): number {
    return this.#waiting;
  }

  /** The one that a socket is, or a TLS socket is over; null where it is not among these. */
  of(socket: Socket): Entrant | null {
    return this.#of(socket) ?? null;
  }

  /** Has an entrant be who its load balancer says, in so many octets, which are none of its own. */
  name(entrant: Entrant, addresses: { address: string; localAddress: string } | null, headerSize: number): void {
    const kept = this.#kept(entrant);
    if (!kept) return;
    this.#unplace(kept);
    Object.assign(kept, { headerSize, ...addresses, network: networkOf(addresses?.address ?? kept.address) });
    this.#place(kept);
  }

  /** Has an entrant wait: it takes no place until its turn comes. */
  wait(entrant: Entrant): void {
    const kept = this.#kept(entrant);
    if (!kept || kept.waiting) return;
    this.#unplace(kept);
    kept.waiting = true;
    this.#waiting += 1;
  }

  /** Gives one that has waited a place; false where there is none, and it has been ended. */
  begin(entrant: Entrant): boolean {
    const kept = this.#kept(entrant);
    if (!kept) return false;
    if (kept.waiting) this.#waiting -= 1;
    kept.waiting = false;
    this.#place(kept);
    this.#makeRoom(kept);
    return !kept.socket.destroyed;
  }

  /** Lets go of a connection that is somebody's, or has failed; it may be the TLS socket over the one taken up. */
  remove(socket: Socket): void {
    const kept = this.#of(socket);
    if (kept) this.#forget(kept);
  }

  /** Ends those that have sent nothing. */
  endSilent(): void {
    for (const kept of [...this.#silent]) if (isSilent(kept)) kept.socket.destroy();
  }

  /** Ends one of them where there are too many: one that has sent nothing, else one of the address with the most. */
  #makeRoom(newcomer: Kept): void {
    if (this.#entrants.size - this.#waiting <= this.#most) return;
    this.#ended();
    for (const kept of this.#silent) {
      if (kept === newcomer) continue;
      this.#silent.delete(kept);
      if (isSilent(kept)) return this.#end(kept);
    }
    const largest = this.#places.largest as string;
    const own = this.#places.of(newcomer.network) === this.#places.of(largest);
    this.#end(own ? newcomer : (this.#placed.first(largest) as Kept));
  }

  #end(kept: Kept): void {
    this.#forget(kept);
    kept.socket.destroy();
  }

  #of(socket: Socket): Kept | undefined {
    return this.#entrants.get(socket) ?? this.#entrants.get(underOf(socket));
  }

  /** What is kept of an entrant, while it is one. */
  #kept(entrant: Entrant): Kept | undefined {
    const kept = this.#entrants.get(entrant.socket);
    return kept === entrant ? kept : undefined;
  }

  #place(kept: Kept): void {
    this.#placed.add(kept.network, kept);
    this.#places.add(kept.network);
  }

  #unplace(kept: Kept): void {
    if (kept.waiting) return;
    this.#placed.delete(kept.network, kept);
    this.#places.remove(kept.network);
  }

  #forget(kept: Kept): void {
    if (this.#entrants.get(kept.socket) !== kept) return;
    if (kept.waiting) this.#waiting -= 1;
    else this.#unplace(kept);
    this.#entrants.delete(kept.socket);
    this.#silent.delete(kept);
  }

  [Symbol.dispose](): void {
    for (const { socket } of this.#entrants.values()) socket.destroy();
    this.#entrants.clear();
  }
}

function isSilent({ socket, headerSize }: Kept): boolean {
  return socket.bytesRead <= headerSize;
}

/**
 * The socket that a TLS socket is over, or the socket itself. Node has no other name for it (lib/internal/tls/wrap.js); its
 * addresses would name it too, but the system is asked for them once more. Without it nobody would get in.
 */
function underOf(socket: Socket & { readonly _parent?: Socket }): Socket {
  return socket._parent ?? socket;
}

/** An address as hosts are compared: what the system writes, but IPv4 as such where IPv6 holds it, and without a zone. */
function canonicalAddress(address = ''): string {
  return address.replace(/^::ffff:(?=[\d.]+$)/, '').replace(/%.*$/, '');
}

/** What one subscriber has: an IPv4 address, or the first 64 bits of an IPv6 one (RFC 6177), however it is shortened. */
function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const rest = tail === '' ? 0 : tail.split(':').length;
    while (groups.length + rest < 8) groups.push('0');
  }
  return groups.slice(0, 4).join(':');
}
