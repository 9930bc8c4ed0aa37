// The one place where an operator is told what went wrong: RFC 9457 problems, for errors of every kind.

import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { finished } from 'node:stream/promises';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { Log } from '../log.ts';
import { Problem, sentenceOf } from '../problem.ts';
import type { ProblemJson } from './schemas.ts';

const mediaType = 'application/problem+json; charset=utf-8';

/** A problem as RFC 9457 §3.1 writes it. `instance` is given for what is only told in the log. */
function problemJson({ code, status, message, hint, members }: Problem, instance?: string): ProblemJson {
  return {
    type: `urn:fleetroot:problem:${code}`,
    title: sentenceOf(code),
    status,
    detail: message,
    code,
    hint,
    ...members,
    ...(instance && { instance }),
  };
}

/** The error handler of both listeners: a Problem is told as it is, what is none is our fault and only logged. */
export function answerErrors(log: Log) {
  return async (error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const problem = error instanceof Problem ? error : problemOfFramework(error as FastifyError);
    request.refusedWith = problem?.code ?? 'internal_error';
    if (problem) {
      if (!request.raw.complete) await readOn(request.raw);
      const { retry_after } = problem.members;
      if (typeof retry_after === 'number') reply.header('retry-after', String(retry_after));
      return reply.code(problem.status).type(mediaType).send(problemJson(problem));
    }
    const { id, method, routeOptions } = request;
    const instance = `urn:uuid:${id}`;
    log.error({ err: error, request: id, instance, method, route: routeOptions.url }, 'a request failed');
    return reply
      .code(500)
      .type(mediaType)
      .send(problemJson(new Problem('internal_error'), instance));
  };
}

/** Who still writes when the connection ends does not read why it did; the listener's time-out bounds this. */
async function readOn(request: IncomingMessage): Promise<void> {
  await finished(request.resume()).catch(() => {});
}

/** The answer to a path that is none. */
export function answerUnknownPath(_request: FastifyRequest, reply: FastifyReply): void {
  const problem = new Problem('not_found', 'There is no such path, or it does not take this method.');
  void reply.code(problem.status).type(mediaType).send(problemJson(problem));
}

/** The answer to what Node's parser could make no request of, on the bare socket. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return;
  socket.end(rawAnswer(problemOfParser(error)));
}

/** An answer as it stands on the wire, where there is no request to answer; the connection ends with it. */
export function rawAnswer(problem: Problem): string {
  const body = JSON.stringify(problemJson(problem));
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    `content-type: ${mediaType}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'cache-control: no-store',
    'connection: close',
  ];
  return [...head, '', body].join('\r\n');
}

function problemOfParser({ code }: NodeJS.ErrnoException): Problem {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new Problem('headers_too_large');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Problem('request_timeout');
    default:
      return new Problem('invalid_request', 'This is no HTTP request.');
  }
}

/** What Fastify itself found wrong with a request; null for what is no fault of the request's. */
function problemOfFramework(error: FastifyError): Problem | null {
  if (error.validation) return new Problem('invalid_request', sentenceOfFault(error));
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new Problem('body_too_large');
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new Problem('unsupported_media_type');
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new Problem('invalid_request', 'A part of the path is too long.');
    case 'FST_ERR_BAD_URL':
      return new Problem('invalid_request', 'The path is not percent-encoded as RFC 3986 says.');
    default:
      return error.statusCode === 400
        ? new Problem('invalid_request', 'The body is not the JSON that it says it is.')
        : null;
  }
}

/** Names the member that is wrong, and how. */
function sentenceOfFault({ validation, validationContext }: FastifyError): string {
  const faults = validation ?? [];
  const fault = faults.find(({ keyword }) => keyword === 'additionalProperties') ?? faults.at(-1);
  const place = { body: 'body', querystring: 'query', params: 'path', headers: 'header' }[validationContext ?? 'body'];
  if (!fault) return `The ${place} is malformed.`;
  const member = fault.instancePath.slice(1).replaceAll('/', '.');
  switch (fault.keyword) {
    case 'required':
      return `The ${place} needs ${(fault.params['requiredProperties'] as string[]).join(', ')}.`;
    case 'additionalProperties':
      return `The ${place} takes no ${(fault.params['additionalProperties'] as string[]).join(', ')}.`;
    case 'enum':
      return `${member} in the ${place} is to be one of ${(fault.params['allowedValues'] as string[]).join(', ')}.`;
    default:
      return `${member || 'It'} in the ${place} ${fault.message ?? 'is malformed'}.`;
  }
}
