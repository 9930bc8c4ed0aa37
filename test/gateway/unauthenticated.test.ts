// The connections that have not finished their handshake: bounded, and cheap to keep whatever strangers do.

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import { Unauthenticated } from '../../src/gateway/unauthenticated.ts';

/** A socket as far as it is looked at here. */
class Stranger extends EventEmitter {
  readonly remoteAddress = '192.0.2.1';
  readonly localAddress = '192.0.2.2';
  readonly localPort = 8443;
  readonly remotePort: number;
  destroyed = false;
  sent = 0;
  looks = 0;

  constructor(remotePort: number) {
    super();
    this.remotePort = remotePort;
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

  test('that have begun it end by their time-out only: the newcomer goes', () => {
    using held = new Unauthenticated(3);
    const begun = Array.from({ length: 3 }, (_, port) => new Stranger(port));
    for (const stranger of begun) {
      held.add(stranger.socket);
      stranger.sent = 1;
    }
    const newcomer = new Stranger(9);
    assert.equal(held.add(newcomer.socket), false);
    assert.deepEqual(
      [...begun, newcomer].map(({ destroyed }) => destroyed),
      [false, false, false, true],
    );
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
