// An account's back ends: which one a path goes to, and passing the call on with the identity of the device.

import http from 'node:http';
import https from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Problem } from '../problem.ts';
import type { AdmittedDevice } from '../provisioning/admission.ts';
import { openUpstreamKey } from '../provisioning/upstream.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import type { Change } from '../registry/changes.ts';
import type { Account, Upstream } from '../registry/tables.ts';
import { upstreamsOf } from '../registry/upstreams.ts';
import type { RequestTarget } from './request-target.ts';

const mostSockets = 256;

/** One back end, ready to be called. */
interface BackEnd {
  readonly upstream: Upstream;
  readonly url: URL;
  readonly agent: http.Agent;
}

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

/** The back ends of all accounts, opened when first needed and closed when they change. */
export class Upstreams implements Disposable {
  readonly #provisioning: Pick<Provisioning, 'registry' | 'seal' | 'outbound'>;
  readonly #byAccount = new Map<string, Promise<BackEnd[]>>();

  constructor(provisioning: Pick<Provisioning, 'registry' | 'seal' | 'outbound'>) {
    this.#provisioning = provisioning;
  }

  /** The back end that a path goes to: the longest prefix of whole segments. */
  async find(account_id: string, path: string): Promise<BackEnd | null> {
    const backEnds = await (this.#byAccount.get(account_id) ?? this.#remember(account_id));
    return backEnds.find(({ upstream: { prefix } }) => isUnder(path, prefix)) ?? null;
  }

  /** Lets go of back ends that may have changed: what is under way there goes on, what is idle is closed. */
  forget(change: Change): void {
    if (change.kind === 'account') this.#close(change.account_id, retire);
    if (change.kind === 'everything') for (const account_id of this.#byAccount.keys()) this.#close(account_id, retire);
  }

  #remember(account_id: string): Promise<BackEnd[]> {
    const opening = this.#open(account_id);
    this.#byAccount.set(account_id, opening);
    opening.catch(() => {
      if (this.#byAccount.get(account_id) === opening) this.#byAccount.delete(account_id);
    });
    return opening;
  }

  async #open(account_id: string): Promise<BackEnd[]> {
    const rows = await upstreamsOf(this.#provisioning.registry.read, account_id);
    return rows
      .sort((one, other) => other.prefix.length - one.prefix.length)
      .map((upstream) => ({ upstream, url: new URL(upstream.url), agent: this.#agentOf(upstream) }));
  }

  #agentOf(upstream: Upstream): http.Agent {
    const pool = { keepAlive: true, maxSockets: mostSockets, maxFreeSockets: 16 };
    const { seal, outbound } = this.#provisioning;
    const guarded = upstream.guarded === 1;
    if (!upstream.url.startsWith('https:')) {
      return guarded ? outbound.agent(new URL(upstream.url), pool) : new http.Agent(pool);
    }
    using key = upstream.sealed_key === null ? null : openUpstreamKey(seal, upstream);
    const options = {
      ...pool,
      ...(upstream.ca === null ? {} : { ca: upstream.ca }),
      ...(upstream.certificate === null || key === null
        ? {}
        : { cert: upstream.certificate, key: key.reveal().toString('utf8') }),
    };
    return guarded ? outbound.agent(new URL(upstream.url), options) : new https.Agent(options);
  }

  #close(account_id: string, end: (agent: http.Agent) => void): void {
    const opened = this.#byAccount.get(account_id);
    this.#byAccount.delete(account_id);
    opened?.then((backEnds) => backEnds.forEach(({ agent }) => end(agent))).catch(() => undefined);
  }

  [Symbol.dispose](): void {
    for (const account_id of [...this.#byAccount.keys()]) this.#close(account_id, (agent) => agent.destroy());
  }
}

/** Has an agent end each of its connections when nothing is under way on it; `destroy` would cut that short. */
function retire(agent: http.Agent): void {
  Object.assign(agent, { keepAlive: false });
  for (const sockets of Object.values(agent.freeSockets)) sockets?.forEach((socket) => socket.destroy());
}

function isUnder(path: string, prefix: string): boolean {
  return prefix === '/' || path === prefix || path.startsWith(`${prefix}/`);
}

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
  const outgoing = (url.protocol === 'https:' ? https : http).request({
    agent,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port || (url.protocol === 'https:' ? 443 : 80),
    method: request.method,
    path: rewrite(upstream, url, caller, target),
    headers: headersFor(upstream, url, caller, request, body),
    setHost: false,
  });
  const answer = answerOf(outgoing, upstream.timeout_ms);
  response.once('close', () => outgoing.destroy());
  if (body !== null) {
    outgoing.end(body);
  } else {
    if (request.headers.expect?.toLowerCase() === '100-continue') response.writeContinue();
    // A back end that answers before it has read everything has answered: its answer counts.
    pipeline(request, outgoing).catch(() => undefined);
  }
  const incoming = await answer;
  writeHeadOf(incoming, response);
  await pipeline(incoming, response).catch(() => response.destroy());
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
    const plain = name.replaceAll('_', '-');
    return dropped.has(plain) || named.has(plain) || /^(x-ats-|x-forwarded-)/.test(plain);
  };
}

function answerDropped(incoming: IncomingMessage): (name: string) => boolean {
  const named = namedByConnection(incoming);
  const own = new Set([
    'connection',
    'proxy-connection',
    'keep-alive',
    'te',
    'transfer-encoding',
    'upgrade',
    'trailer',
  ]);
  return (name) => own.has(name) || named.has(name);
}

function namedByConnection(message: IncomingMessage): Set<string> {
  const named = message.headers.connection?.toLowerCase().split(',') ?? [];
  return new Set(named.map((name) => name.trim().replaceAll('_', '-')));
}
