// How the service answers, and how it says what is wrong: a sentence as plain text under EST's paths, JSON elsewhere.

import { STATUS_CODES } from 'node:http';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { Problem, sentenceOf } from '../../problem.ts';

/** RFC 7030 §3.2.2. */
export const estPrefix = '/.well-known/est';

/** How long whoever is told to come back waits, in seconds. */
const comeBack = 5;

/** Whether whoever asks for a path is an EST client. */
export function isEst(url: string): boolean {
  return url === estPrefix || url.startsWith(`${estPrefix}/`);
}

/** What is told of a problem: its header fields, and its text. */
function told(problem: Problem, est: boolean): { fields: Record<string, string>; text: string } {
  const { code, status, hint } = problem;
  // Where the line's key lies and why it is out of reach is for whoever reads the log.
  const description = code === 'custody_unavailable' ? sentenceOf(code) : problem.message;
  const fields: Record<string, string> = {
    'content-type': est ? 'text/plain; charset=utf-8' : 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    ...(status === 401 && { 'www-authenticate': 'Basic realm="fleetroot factory", charset="UTF-8"' }),
    ...((status === 503 || status === 429) && { 'retry-after': String(comeBack) }),
  };
  return { fields, text: est ? `${description}\n` : `${JSON.stringify({ code, description, hint })}\n` };
}

/** Tells a problem, and ends the connection where the request has not arrived whole. */
export function answerProblem(problem: Problem, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { fields, text } = told(problem, isEst(request.url));
  if (!request.raw.complete) reply.header('connection', 'close');
  return reply.code(problem.status).headers(fields).send(text);
}

/** The same on the bare wire, where there is no request to answer; the connection ends with it. */
export function rawAnswer(problem: Problem, est: boolean): string {
  const { fields, text } = told(problem, est);
  const lines = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
    `content-length: ${Buffer.byteLength(text)}`,
    'connection: close',
  ];
  return [...lines, '', text].join('\r\n');
}

/** What is wrong with a request that HTTP could not read; null where it is the connection that broke. */
export function problemOfParser({ code = '' }: NodeJS.ErrnoException): Problem | null {
  if (code === 'HPE_HEADER_OVERFLOW') return new Problem('headers_too_large');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new Problem('request_timeout');
  return code.startsWith('HPE_')
    ? new Problem('invalid_request', 'The request is no HTTP/1.1 that can be read.')
    : null;
}

/** What Fastify itself found wrong with a request; null for what is no fault of the request's. */
export function problemOfFramework(error: FastifyError): Problem | null {
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new Problem('body_too_large', 'The body is larger than the 128 KiB that a request may have.');
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new Problem('invalid_request', 'The body is not as long as its Content-Length says.');
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new Problem('unsupported_media_type');
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new Problem('invalid_request', 'A part of the path is too long.');
    case 'FST_ERR_BAD_URL':
      return new Problem('invalid_request', 'The path is not percent-encoded as RFC 3986 says.');
    default:
      // A body that broke off.
      return (error as NodeJS.ErrnoException).code === 'ECONNRESET' || error.statusCode === 400
        ? new Problem('invalid_request', 'The request broke off, or cannot be read.')
        : null;
  }
}
