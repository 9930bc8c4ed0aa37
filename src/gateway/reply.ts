// How the gateway answers on its own: JSON that is small, complete, and has left before the connection ends.

import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { presentRequest } from '../log.ts';
import { Problem, sentenceOf } from '../problem.ts';

/** How long a connection that was refused is read on, so that the reply is not lost to a reset, in milliseconds. */
const lingering = 2000;

/** Sends JSON. */
export function replyJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'x-request-id': presentRequest() ?? '',
  });
  response.end(text);
}

/**
 * Sends the closed form in which devices are told what is wrong; the connection ends with it where `last`. `comeBack` is
 * in how many seconds whoever cannot be served now is to ask again, where the problem does not say.
 */
export function replyProblem(
  response: ServerResponse,
  problem: Problem,
  { last, comeBack }: { last: boolean; comeBack: () => number },
): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  // Where our keys lie and why they are out of reach is for operators: whoever holds a provisioning key may read this.
  const description = problem.code === 'custody_unavailable' ? sentenceOf(problem.code) : problem.message;
  const text = JSON.stringify({ code: problem.code, description });
  // Said aloud: a back end's own, which may be why its head could not be written, would be taken once more.
  response.writeHead(problem.status, STATUS_CODES[problem.status] ?? '', {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'x-request-id': presentRequest() ?? '',
    ...(last ? { connection: 'close' } : {}),
    ...(problem.status === 503 || problem.status === 429
      ? { 'retry-after': String(Number(problem.members['retry_after'] ?? comeBack())) }
      : {}),
  });
  response.end(text);
}

/**
 * Ends a connection after its last reply. A socket destroyed while the peer is still sending answers with a reset, which
 * discards the reply on its way; so our side is closed in order, and what still comes is read and thrown away for a while.
 */
export function closeInOrder(socket: Socket): void {
  socket.end();
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), lingering).unref();
  socket.once('close', () => clearTimeout(timer));
}

/** Has a socket close in order wherever Node would end it at once after its last reply. */
export function closeInOrderAlways(socket: Socket): void {
  socket.destroySoon = () => closeInOrder(socket);
}

/** Answers a request that HTTP could not read, and ends its connection. */
export function replyUnreadable(problem: Problem, socket: Socket): void {
  const body = JSON.stringify({ code: problem.code, description: problem.message });
  const head = `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\nContent-Type: application/json`;
  socket.write(`${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`);
  closeInOrder(socket);
}

/** What is wrong with a request that HTTP could not read; null where it is the connection that broke. */
export function problemOfParser({ code = '' }: NodeJS.ErrnoException): Problem | null {
  if (code === 'HPE_HEADER_OVERFLOW') return new Problem('headers_too_large');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new Problem('request_timeout');
  return code.startsWith('HPE_')
    ? new Problem('invalid_request', 'The request is no HTTP/1.1 that can be read.')
    : null;
}
