// The HTTP connections to a vault: few, kept open, trusting one CA alone, and each call over them ended in time.

import http from 'node:http';
import https from 'node:https';
import { createSecureContext, getCACertificates } from 'node:tls';
import { urlToHttpOptions } from 'node:url';

import type { Secret } from '../secret.ts';
import { CustodyProblem } from './custodian.ts';

/** A call of the vault's HTTP API. */
export interface VaultRequest {
  method: 'GET' | 'POST' | 'DELETE';
  /** What comes after `/v1/`. */
  path: string;
  /** Sent as JSON. */
  body?: object;
  token?: Secret;
  /** Whether it does no harm to send it twice: it is then, once, where the connection ends before an answer. */
  repeatable?: boolean;
}

/** What the vault answered, whatever its status. */
export interface VaultAnswer {
  status: number;
  body: Buffer;
}

/** A client certificate and its private key, PEM. */
export interface ClientCertificate {
  certificate: Buffer;
  key: Buffer;
}

export interface VaultTransportOptions {
  /** `https://HOST:PORT`, or `http://` to this machine itself. */
  address: string;
  /** The only CAs that are trusted (PEM); null for those of the system. */
  ca: Buffer | null;
  namespace: string | null;
  /** Connections at the most. */
  connections: number;
}

/** Calls that may wait for a connection. With more the vault is not keeping up, and each would wait for its time-out. */
const mostWaiting = 4096;

/** A key with some hundred versions fits; nothing that we ask for is longer. */
const longestAnswer = 1024 * 1024;

/** A connection is given up after so long without use: firewalls forget idle ones without telling. */
const idleTime = 60_000;

/** Connections that ended before an answer: a vault closes idle ones, perhaps just when a call is on its way. */
const lostConnection = new Set(['ECONNRESET', 'EPIPE']);

/** Keeps connections to a vault open. Redirects are followed nowhere: what is sent has a token in it. */
export class VaultTransport implements Disposable {
  readonly address: string;
  /** Protocol, host and port. */
  readonly #target: http.RequestOptions;
  readonly #options: VaultTransportOptions;
  readonly #waiting = new Set<() => void>();
  #agent: http.Agent;
  #free: number;
  #closed = false;

  constructor(options: VaultTransportOptions) {
    this.address = options.address;
    const { protocol, hostname, port } = urlToHttpOptions(new URL(options.address));
    this.#target = { protocol, hostname, port };
    this.#options = options;
    this.#free = options.connections;
    this.#agent = this.#newAgent(null);
  }

  /** Shows this client certificate from now on, on new connections; those that are open serve the calls they have. */
  present(client: ClientCertificate): void {
    const before = this.#agent;
    this.#agent = this.#newAgent(client);
    before.maxFreeSockets = 0;
    for (const sockets of Object.values(before.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
  }

  /** Rejects with `unavailable` where there is no whole answer by the time that `signal` ends it. */
  async ask(request: VaultRequest, signal: AbortSignal): Promise<VaultAnswer> {
    await this.#enter(signal);
    try {
      return await this.#send(request, signal).catch((error: unknown) => {
        const cause = error instanceof CustodyProblem ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
        if (request.repeatable !== true || signal.aborted || !lostConnection.has(cause?.code ?? '')) throw error;
        return this.#send(request, signal);
      });
    } finally {
      this.#leave();
    }
  }

  /** Takes one of the connections' places, or waits until one is free. */
  async #enter(signal: AbortSignal): Promise<void> {
    if (this.#closed) throw this.#unavailable('is not used any more', new Error('closed'));
    if (signal.aborted) throw this.#timedOut(signal);
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    if (this.#waiting.size >= mostWaiting) {
      throw this.#unavailable(`does not keep up: ${mostWaiting} calls wait for it`, new Error('too many calls'));
    }
    await new Promise<void>((resolve, reject) => {
      const enter = (): void => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      };
      const giveUp = (): void => {
        this.#waiting.delete(enter);
        reject(this.#timedOut(signal));
      };
      signal.addEventListener('abort', giveUp, { once: true });
      this.#waiting.add(enter);
    });
  }

  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
    } else {
      this.#waiting.delete(next);
      next();
    }
  }

  #send({ method, path, body, token }: VaultRequest, signal: AbortSignal): Promise<VaultAnswer> {
    return new Promise((resolve, reject) => {
      const content = body === undefined ? null : JSON.stringify(body);
      const headers: http.OutgoingHttpHeaders = { 'X-Vault-Request': 'true', accept: 'application/json' };
      if (content !== null) {
        headers['content-type'] = 'application/json';
        headers['content-length'] = Buffer.byteLength(content);
      }
      if (token !== undefined) headers['X-Vault-Token'] = token.reveal().toString('latin1');
      if (this.#options.namespace !== null) headers['X-Vault-Namespace'] = this.#options.namespace;

      const send = this.#target.protocol === 'https:' ? https.request : http.request;
      const sent = send({ ...this.#target, path: `/v1/${path}`, method, headers, agent: this.#agent });
      const end = (error: CustodyProblem): void => {
        signal.removeEventListener('abort', giveUp);
        reject(error);
        sent.destroy();
      };
      const giveUp = (): void => end(this.#timedOut(signal));
      const fail = (error: Error): void => end(this.#unavailable(`cannot be reached (${error.message})`, error));
      signal.addEventListener('abort', giveUp, { once: true });
      sent.once('error', fail);
      sent.once('response', (response) => {
        const parts: Buffer[] = [];
        let length = 0;
        response.on('data', (part: Buffer) => {
          parts.push(part);
          length += part.length;
          if (length > longestAnswer) end(this.#unavailable('answers without end', new Error('long answer')));
        });
        response.once('error', (error) => {
          // An answer had begun, so the call has been carried out: it is not sent again.
          end(this.#unavailable(`broke off its answer (${error.message})`, new Error('broken answer')));
        });
        response.once('end', () => {
          signal.removeEventListener('abort', giveUp);
          const [status, whole] = [response.statusCode ?? 0, gather(parts)];
          // What a refusal says ends in messages and logs.
          if (token !== undefined && status >= 300) blacken(whole, token);
          resolve({ status, body: whole });
        });
      });
      sent.end(content ?? undefined);
    });
  }

  #newAgent(client: ClientCertificate | null): http.Agent {
    const { ca, connections } = this.#options;
    const pool = { keepAlive: true, maxSockets: connections, maxFreeSockets: connections, timeout: idleTime };
    if (this.#target.protocol === 'http:') return new http.Agent(pool);
    return new https.Agent({
      ...pool,
      // Made once: parsed anew for each connection, the system's hundred and more CAs would take milliseconds.
      secureContext: createSecureContext({
        minVersion: 'TLSv1.2',
        ca: ca ?? getCACertificates('system'),
        ...(client && { cert: client.certificate, key: client.key }),
      }),
      // Said here too, since NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment would turn it off.
      rejectUnauthorized: true,
    });
  }

  #timedOut({ reason }: AbortSignal): CustodyProblem {
    return this.#unavailable('did not answer in time', reason as Error);
  }

  #unavailable(what: string, cause: Error): CustodyProblem {
    return new CustodyProblem(
      'unavailable',
      `The vault at ${this.address} ${what}.`,
      'See whether it runs, can be reached from here, and has a certificate of the CA in vault.ca.',
      { cause },
    );
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#agent.destroy();
  }
}

/** The whole of it, once: a private key that was asked for may be in it, so that the parts are overwritten. */
function gather(parts: readonly Buffer[]): Buffer {
  const whole = Buffer.concat(parts);
  for (const part of parts) part.fill(0);
  return whole;
}

function blacken(text: Buffer, secret: Secret): void {
  const bytes = secret.reveal();
  for (let at = text.indexOf(bytes); at !== -1; at = text.indexOf(bytes, at)) text.fill('*', at, at + bytes.length);
}
