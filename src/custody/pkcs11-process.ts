// The process that holds an HSM's token: the one place where the HSM maker's library runs.
//
// In the server it could hold up everything: most calls of PKCS #11 block the thread that makes them for as long as the
// HSM likes, the others occupy libuv's threads, and a crash or a damaged heap is that of the whole process. Here the
// server cuts its losses: what hangs is killed, what crashes is started anew.

import { failureOf } from './pkcs11-errors.ts';
import { PinRefused } from './pkcs11-login.ts';
import type { Answer, Message, Request, Start } from './pkcs11-messages.ts';
import type { Token } from './pkcs11-token.ts';
import { openToken } from './pkcs11-token.ts';

let token: Token | null = null;
/** Calls whose answer is still waited for. */
const wanted = new Set<number>();
let answers: Answer[] = [];

function send(message: Message): void {
  // The server has gone where this fails, and 'disconnect' says so, too.
  process.send?.(message, undefined, undefined, () => {});
}

/** Answers of one turn of the event loop travel together. */
function answer(one: Answer): void {
  if (answers.length === 0) {
    setImmediate(() => {
      send({ kind: 'answers', answers });
      answers = [];
    });
  }
  answers.push(one);
}

async function serve(opened: Token, { number, call }: Extract<Request, { call: unknown }>): Promise<void> {
  wanted.add(number);
  try {
    answer({ number, value: await opened.answer(call, () => wanted.has(number)) });
  } catch (error) {
    answer({ number, failure: failureOf(error) });
  } finally {
    wanted.delete(number);
  }
}

async function begin(start: Start): Promise<void> {
  try {
    token = await openToken(start);
    send({ kind: 'open' });
  } catch (error) {
    send({ kind: 'closed', failure: failureOf(error), refused: error instanceof PinRefused ? error.mark : null });
  }
}

process.once('message', (start: Start) => {
  void begin(start);
  process.on('message', (requests: Request[]) => {
    for (const request of requests) {
      if ('forget' in request) wanted.delete(request.number);
      else if (token) void serve(token, request);
    }
  });
});

// Signals that a terminal or systemd sends to the whole group are the server's to act on: it may have signatures to
// wait for. This process ends when the server lets go of it, or has died.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
process.once('disconnect', () => {
  try {
    token?.close();
  } finally {
    // process.exit would wait for threads that an HSM holds up.
    process.kill(process.pid, 'SIGKILL');
  }
});
