// Whether a reply that carries new credentials has arrived, as far as can be known.

import type { ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';

/**
 * Calls `settle` once: `arrived` when the reply was written whole and the client then closed in order or asked again on
 * the same connection; `lost` when the connection broke or ended before that. While it is open, nothing is settled.
 */
export function watchReply(
  socket: TLSSocket,
  response: ServerResponse,
  settle: (reply: 'arrived' | 'lost') => Promise<void>,
): void {
  let finished = false;
  // It may have broken off while the credentials were being made; what it would have told then is not told again.
  if (socket.destroyed || !socket.readable || !socket.writable) {
    settle('lost').catch(() => undefined);
    return;
  }
  const end = (reply: 'arrived' | 'lost') => {
    socket.off('end', onEnd).off('close', onClose).off(anotherRequest, onAnother);
    // A failure to record it leaves the reply open, and the next start counts it as lost.
    settle(reply).catch(() => undefined);
  };
  const onEnd = () => end(finished ? 'arrived' : 'lost');
  const onClose = () => end('lost');
  // One that was sent in one go with the first says nothing about its reply.
  const onAnother = () => finished && end('arrived');
  response.once('finish', () => {
    finished = true;
  });
  socket.on('end', onEnd).on('close', onClose).on(anotherRequest, onAnother);
}

/** Emitted on a socket whose client sends another request: it has read the reply before. */
export const anotherRequest = 'fleetroot:another-request';
