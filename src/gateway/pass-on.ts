// Passing a call on to a back end with the identity of the device, and its answer back.

import http from 'node:http';
import https from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Problem } from '../problem.ts';
import type { AdmittedDevice } from '../provisioning/admission.ts';
import type { Account, Upstream } from '../registry/tables.ts';
import { hasBody } from './request-body.ts';
import type { RequestTarget } from './request-target.ts';
import type { BackEnd } from './upstream.ts';

/** Who a call is passed on for. */
export interface Caller {
  readonly account: Account;
  readonly device: AdmittedDevice['device'];
  /** DER, the leaf first. */
  readonly certificates: readonly Buffer[];
}

/** Fields that speak of one connection only (RFC 9110 §7.6.1), and those that only the gateway may set. */
const dropped = new Set([
  ...[
    'connection',
    'proxy-connection',
    'keep-alive',
    'te',
    'transfer-encoding',
    'upgrade',
    'trailer',
    'expect',
    'host',
  ],
  ...['client-cert', 'client-cert-chain', 'forwarded', 'x-real-ip', 'content-length'],
]);

/** Fields of an answer that speak of the back end's connection only. */
const answersDropped = new Set([
  ...['connection', 'proxy-connection', 'keep-alive', 'te', 'transfer-encoding', 'upgrade', 'trailer'],
]);

/**
 * Passes a call on and its answer back, both as they come. `body` is given where it has been read already.
 * Throws `upstream_unavailable` or `upstream_timeout` where the back end gave no answer.
 */
export async function passOn(
  { upstream, url, agent }: BackEnd,
  caller: Caller,
  target: RequestTarget,
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer | null,
): Promise<void> {
  // Whoever asked was sent away meanwhile.
  if (response.destroyed) return;
  const options = {
    agent,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port || (url.protocol === 'https:' ? 443 : 80),
    method: request.method,
    path: rewrite(upstream, url, caller, target),
    headers: headersFor(upstream, url, caller, request, body),
    setHost: false,
  };
  const streamed = body === null && hasBody(request);
  const ask = (): [http.ClientRequest, Promise<IncomingMessage>] => {
    const outgoing = (url.protocol === 'https:' ? https : http).request(options);
    response.once('close', () => outgoing.destroy());
    const answer = answerOf(outgoing, upstream.timeout_ms);
    // A back end that answers before it has read everything has answered: its answer counts.
    if (streamed) pipeline(request, outgoing).catch(() => undefined);
    else outgoing.end(body);
    return [outgoing, answer];
  };
  if (streamed && request.headers.expect?.toLowerCase() === '100-continue') response.writeContinue();
  const [outgoing, answer] = ask();
  const incoming = await answer.catch((error: unknown) => {
    const again = body === null && !streamed && isSafe(request) && !response.destroyed;
    if (again && endedUnasked(outgoing, error)) return ask()[1];
    throw error;
  });
  writeHeadOf(incoming, response);
  await passBack(incoming, response);
}

/** What may be asked twice (RFC 9110 §9.2.1). */
function isSafe({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** Whether a kept connection was closed by the back end while the call was on its way to it (RFC 9112 §9.3.1). */
function endedUnasked(outgoing: http.ClientRequest, error: unknown): boolean {
  const cause = error instanceof Problem ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  return outgoing.reusedSocket && (cause?.code === 'ECONNRESET' || cause?.code === 'EPIPE');
}

/**
 * Passes an answer's body back as it comes, no faster than it is taken; resolves when it has left or cannot.
 * An answer that breaks off ends the connection, so that nobody takes it for a whole one.
 */
function passBack(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.once('close', () => {
      if (!incoming.readableEnded) incoming.destroy();
      resolve();
    });
    response.on('error', () => undefined);
    incoming.on('data', (part: Buffer) => {
      if (response.write(part)) return;
      incoming.pause();
      response.once('drain', () => incoming.resume());
    });
    incoming.once('end', () => response.end(resolve));
    incoming.on('error', () => undefined);
    incoming.once('close', () => {
      if (!incoming.readableEnded) response.destroy();
    });
    if (response.destroyed) {
      incoming.destroy();
      resolve();
    }
  });
}

/** Node reads heads that nobody may write: control characters in the status line, a 101 that upgrades nothing. */
function writeHeadOf(incoming: IncomingMessage, response: ServerResponse): void {
  const fields = fieldsFrom(incoming.rawHeaders, answerDropped(incoming));
  try {
    const { statusCode = 0 } = incoming;
    if (statusCode < 200) throw new RangeError(`the status ${statusCode} is no answer`);
    response.writeHead(statusCode, incoming.statusMessage, fields);
  } catch (cause) {
    incoming.destroy();
    throw new Problem('upstream_unavailable', 'The back end answered with a head that is no HTTP.', null, { cause });
  }
}

function answerOf(outgoing: http.ClientRequest, timeout: number): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      reject(new Problem('upstream_timeout', `The back end did not answer within ${timeout} ms.`));
      outgoing.destroy();
    }, timeout);
    outgoing.once('response', (incoming) => {
      clearTimeout(late);
      incoming.setTimeout(timeout, () => incoming.destroy());
      resolve(incoming);
    });
    outgoing.on('error', (error) => {
      clearTimeout(late);
      reject(new Problem('upstream_unavailable', undefined, null, { cause: error }));
    });
    outgoing.once('upgrade', (_, socket) => {
      socket.destroy();
      reject(new Problem('upstream_unavailable', 'The back end changed the protocol.'));
    });
  });
}

/** The path at the back end: the URL's own, the rewritten prefix, and the rest of the path as it came. */
function rewrite(upstream: Upstream, url: URL, caller: Caller, { path, query }: RequestTarget): string {
  const rest = upstream.prefix === '/' ? path : path.slice(upstream.prefix.length);
  const written = (upstream.rewrite ?? upstream.prefix).replaceAll('{device_uuid}', caller.device.uuid);
  const joined = `${url.pathname.replace(/\/$/, '')}${written.replace(/\/$/, '')}${rest}`;
  return (joined === '' ? '/' : joined) + query;
}

function headersFor(
  upstream: Upstream,
  url: URL,
  { account, device, certificates }: Caller,
  request: IncomingMessage,
  body: Buffer | null,
): string[] {
  const fields = fieldsFrom(request.rawHeaders, requestDropped(request));
  fields.push('Host', upstream.host ?? url.host);
  if (body !== null) fields.push('Content-Length', String(body.length));
  else if (request.headers['content-length'] !== undefined)
    fields.push('Content-Length', request.headers['content-length']);
  else if (request.headers['transfer-encoding'] !== undefined) fields.push('Transfer-Encoding', 'chunked');
  const [leaf, ...chain] = certificates.map((der) => `:${der.toString('base64')}:`);
  fields.push('x-ats-namespace', account.namespace, 'x-ats-device-uuid', device.uuid);
  if (leaf) fields.push('Client-Cert', leaf);
  if (chain.length > 0) fields.push('Client-Cert-Chain', chain.join(', '));
  return fields;
}

/** Raw header fields without those that `drop` names. */
function fieldsFrom(raw: readonly string[], drop: (name: string) => boolean): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] as string;
    if (!drop(name.toLowerCase())) kept.push(name, raw[at + 1] as string);
  }
  return kept;
}

/** A back end may read `x_ats_device_uuid` as `x-ats-device-uuid`: so do we. */
function requestDropped(request: IncomingMessage): (name: string) => boolean {
  const named = namedByConnection(request);
  return (name) => {
    const plain = name.includes('_') ? name.replaceAll('_', '-') : name;
    return dropped.has(plain) || named.has(plain) || plain.startsWith('x-ats-') || plain.startsWith('x-forwarded-');
  };
}

function answerDropped(incoming: IncomingMessage): (name: string) => boolean {
  const named = namedByConnection(incoming);
  return (name) => answersDropped.has(name) || named.has(name);
}

const none: ReadonlySet<string> = new Set();

function namedByConnection({ headers: { connection } }: IncomingMessage): ReadonlySet<string> {
  if (connection === undefined || connection === 'keep-alive') return none;
  const named = connection.toLowerCase().split(',');
  return new Set(named.map((name) => name.trim().replaceAll('_', '-')));
}
