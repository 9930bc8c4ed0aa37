// The body of a request, read whole within bounds.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { Problem } from '../problem.ts';

/**
 * Reads a body of at most `limit` bytes. A client that waits for leave to send (`Expect: 100-continue`) is given it
 * here, so that who is refused never sends. Throws `body_too_large` or, where the client left, `request_timeout`.
 */
export async function readBody(request: IncomingMessage, response: ServerResponse, limit: number): Promise<Buffer> {
  const tooLarge = () =>
    new Problem('body_too_large', `The body is larger than the ${limit} bytes that this call takes.`);
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge();
  if (request.headers.expect?.toLowerCase() === '100-continue') response.writeContinue();
  // Of one that has none nothing is told, not even its end (http.createServer's optimizeEmptyRequests).
  if (!hasBody(request)) return Buffer.alloc(0);
  const parts: Buffer[] = [];
  let length = 0;
  return new Promise((resolve, reject) => {
    const onData = (part: Buffer) => {
      length += part.length;
      if (length > limit) {
        request.off('data', onData);
        request.resume();
        reject(tooLarge());
      } else parts.push(part);
    };
    request.on('data', onData);
    request.once('end', () => resolve(Buffer.concat(parts)));
    request.once('error', () => reject(new Problem('request_timeout', 'The request broke off.')));
    request.once('close', () => {
      if (!request.complete) reject(new Problem('request_timeout', 'The request broke off.'));
    });
  });
}

/** Whether a body follows, be it empty (RFC 9112 §6.3). */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

/** Throws `unsupported_media_type` where the body says that it is something else; saying nothing is fine. */
export function requireMediaType(request: IncomingMessage, ...accepted: string[]): void {
  const given = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (given === undefined || given === '' || accepted.includes(given)) return;
  throw new Problem(
    'unsupported_media_type',
    `The body is ${JSON.stringify(given)}; this call takes ${accepted.join(' or ')}.`,
  );
}
