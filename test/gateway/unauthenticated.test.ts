// The connections that have not finished their handshake: bounded, and cheap to keep whatever strangers do.

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import { Unauthenticated } from '../../src/gateway/unauthenticated.ts';

/** A socket as far as it is looked at here. */
class Stranger extends EventEmitter {
  readonly remoteAddress: string;
  readonly localAddress = '192.0.2.2';
  readonly localPort = 8443;
  readonly remotePort: number;
  destroyed = false;
  sent = 0;
  looks = 0;

  constructor(remotePort: number, remoteAddress = '192.0.2.1') {
    super();
    this.remotePort = remotePort;
    this.remoteAddress = remoteAddress;
  }

  get bytesRead(): number {
    this.looks += 1;
    return this.sent;
  }

  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }

  get socket(): Socket {
    return this as unknown as Socket;
  }
}

describe('connections that have not finished their handshake', () => {
  test('beyond the bound those that have sent nothing end, the oldest first', () => {
    using held = new Unauthenticated(3);
    const strangers = Array.from({ length: 5 }, (_, port) => new Stranger(port));
    strangers[0]!.sent = 1;
    for (const { socket } of strangers) held.add(socket);
    assert.deepEqual(
      strangers.map(({ destroyed }) => destroyed),
      [false, true, true, false, false],
    );
  });

  test('that have begun it end by their time-out: the newcomer goes that comes from the same address', () => {
    using held = new Unauthenticated(3);
    const begun = Array.from({ length: 3 }, (_, port) => new Stranger(port));
    for (const stranger of begun) {
      held.add(stranger.socket);
      stranger.sent = 1;
    }
    const newcomer = new Stranger(9);
    assert.equal(held.add(newcomer.socket), null);
    assert.deepEqual(
      [...begun, newcomer].map(({ destroyed }) => destroyed),
      [false, false, false, true],
    );
  });

  /** Places for ten, nine of which one address has with handshakes that do not end; and one another. */
  function crowd(held: Unauthenticated, address: (n: number) => string): Stranger[] {
    const begun = Array.from({ length: 10 }, (_, n) => new Stranger(n, n === 5 ? '198.51.100.5' : address(n)));
    for (const stranger of begun) {
      held.add(stranger.socket);
      stranger.sent = 1;
    }
    return begun;
  }
  const goneOf = (strangers: readonly Stranger[]) => strangers.flatMap(({ destroyed }, n) => (destroyed ? [n] : []));

  for (const [what, address] of [
    ['an IPv4 address', () => '::ffff:192.0.2.1'],
    ['an IPv6 network, whichever of its addresses it uses', (n: number) => `2001:db8:0:7::${n}:1`],
  ] as const) {
    test(`${what} does not take all the places: its oldest goes for a newcomer from elsewhere`, () => {
      using held = new Unauthenticated(10);
      const begun = crowd(held, address);
      for (const [port, from] of ['203.0.113.1', '2001:db8:0:8::1', '203.0.113.2'].entries()) {
        const newcomer = new Stranger(20 + port, from);
        assert.ok(held.add(newcomer.socket));
        newcomer.sent = 1;
      }
      assert.deepEqual(goneOf(begun), [0, 1, 2]);
    });
  }

  test('behind a load balancer it is the client that counts, and what the balancer says is nothing said by the client', () => {
    using held = new Unauthenticated(10);
    const strangers = Array.from({ length: 10 }, (_, port) => new Stranger(port));
    const names = { localAddress: '192.0.2.80' };
    for (const [n, stranger] of strangers.entries()) {
      const entrant = held.add(stranger.socket)!;
      held.name(entrant, { ...names, address: n === 5 ? '198.51.100.5' : '198.51.100.1' }, 28);
      stranger.sent = n === 7 ? 28 : 100;
    }
    const newcomers = [20, 21].map((port) => {
      const newcomer = new Stranger(port);
      const entrant = held.add(newcomer.socket)!;
      held.name(entrant, { ...names, address: '198.51.100.9' }, 28);
      newcomer.sent = 100;
      return newcomer;
    });
    // The one that has said nothing, then the oldest of the client with the most.
    assert.deepEqual(goneOf(strangers), [0, 7]);
    assert.deepEqual(goneOf(newcomers), []);
  });

  test('that wait for their turn take no place until it comes', () => {
    using held = new Unauthenticated(2);
    const strangers = Array.from({ length: 6 }, (_, port) => new Stranger(port));
    const entrants = strangers.slice(0, 4).map(({ socket }) => {
      const entrant = held.add(socket)!;
      held.wait(entrant);
      return entrant;
    });
    for (const stranger of strangers) stranger.sent = 1;
    for (const { socket } of strangers.slice(4)) held.add(socket);
    assert.deepEqual([goneOf(strangers), held.size, held.waiting], [[], 6, 4]);
    assert.equal(held.begin(entrants[0]!), false, 'it comes from where all come from');
    strangers[5]!.destroy();
    assert.equal(held.begin(entrants[1]!), true);
    strangers[2]!.destroy();
    assert.deepEqual([goneOf(strangers), held.size, held.waiting], [[0, 2, 5], 3, 1]);
  });

  test('cost no more the more of them have begun it', () => {
    using held = new Unauthenticated(1_000);
    const strangers = Array.from({ length: 3_000 }, (_, port) => new Stranger(port));
    for (const stranger of strangers) {
      held.add(stranger.socket);
      stranger.sent = 1;
    }
    const looks = strangers.reduce((sum, stranger) => sum + stranger.looks, 0);
    assert.ok(looks <= 2 * strangers.length, `${looks} looks`);
  });
});
