// Idempotency-Key on calls that create: a repeat gets the reply of the first, and nothing is made twice.
// (draft-ietf-httpapi-idempotency-key-header-07)

import { createHmac, hash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../problem.ts';
import type { IdempotencyKey } from '../registry/api-tables.ts';
import { accountByRef } from '../registry/accounts.ts';
import type { Registry } from '../registry/writer.ts';
import type { Principal } from './principal.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The ID of the idempotency key that this call has reserved, until it is answered; null for none. */
    idempotency: string | null;
  }
}

/** Replies that are longer are not kept: a repeat is told that the call was made. */
const longestReply = 256 * 1024;
const header = 'idempotency-key';

/**
 * Has every POST of `app` that comes with an Idempotency-Key done once. To be added after the guard. `underWay` has the
 * keys of the calls that this process is at, and is the same for every app over one registry.
 *
 * The key is reserved before the work and the reply recorded before it is sent. Where the server is killed in between,
 * nobody knows what was done: repeats are told so, and to look.
 */
export function takeIdempotencyKeys(app: FastifyInstance, registry: Registry, underWay: Set<string>): void {
  app.decorateRequest('idempotency', null);

  app.addHook('preHandler', async (request, reply) => {
    const { principal, method, body } = request;
    if (method !== 'POST' || principal === null || request.headers[header] === undefined) return;
    if (body instanceof Readable) {
      throw new Problem('invalid_request', 'This call takes no Idempotency-Key: its body is read as it arrives.');
    }
    const given = await identify(registry, request, principal, keyOf(request));
    if (underWay.has(given.id)) throw inUse('The call with this Idempotency-Key is under way.', 'Repeat it later.');
    underWay.add(given.id);
    try {
      const known = await registry.write('reserveIdempotencyKey', given);
      if (known === null) request.idempotency = given.id;
      else if (known.fingerprint === given.fingerprint) replay(reply, known);
      else throw new Problem('idempotency_key_reused');
    } finally {
      if (request.idempotency === null) underWay.delete(given.id);
    }
  });

  app.addHook('onSend', async (request, { statusCode: status }, payload) => {
    const id = request.idempotency;
    if (id === null) return;
    request.idempotency = null;
    try {
      if (status < 300) {
        const body = request.routeOptions.config.secretReply === true ? null : bytesOf(payload);
        await registry.write('completeIdempotencyKey', { id, status, body });
      } else if (status < 500 || status === 503) {
        await registry.write('releaseIdempotencyKey', { id });
      }
      // Any other failure is one of which nobody knows what was done before it: the reservation stays.
    } finally {
      underWay.delete(id);
    }
  });
}

/** The key itself: a string as RFC 8941 §3.3.3 writes it, or the same without its quotes. */
function keyOf(request: FastifyRequest): string {
  const [, key] = /^"?([\x21\x23-\x5b\x5d-\x7e]{1,255})"?$/.exec(String(request.headers[header])) ?? [];
  if (key !== undefined) return key;
  throw new Problem('invalid_request', 'The Idempotency-Key is to be one text of 1 to 255 characters without spaces.');
}

/** Digests alone are kept. The key, which is not, keys that of the body: a passphrase in it cannot be guessed from it. */
async function identify(registry: Registry, request: FastifyRequest, { kind, id }: Principal, key: string) {
  const { params, body, url, routeOptions } = request;
  const principal = id === null ? kind : `${kind}:${id}`;
  const { account: ref } = params as { account?: string };
  const account = ref === undefined ? undefined : await accountByRef(registry.read, ref);
  const account_id = account?.id ?? null;
  const [path] = url.split('?', 1);
  const call = JSON.stringify([principal, account_id, routeOptions.config.operationId, path, key]);
  const content = Buffer.isBuffer(body) ? body : JSON.stringify(body ?? null);
  const sent = createHmac('sha256', key).update(JSON.stringify(request.query)).update('\0').update(content);
  return { id: hash('sha256', call, 'hex'), principal, account_id, fingerprint: sent.digest('hex') };
}

function replay(reply: FastifyReply, { answered_at, status, body }: IdempotencyKey): void {
  if (answered_at === null || status === null) {
    throw inUse(
      'The server ended while it was at the call with this Idempotency-Key, failed, or another node is at it.',
      'Look whether it was done, then call with another key.',
    );
  }
  const at = new Date(answered_at).toISOString();
  if (body === null) {
    throw inUse(
      `The call with this Idempotency-Key succeeded at ${at}; its reply is kept nowhere.`,
      'What was in it is told once. Where that is lost, undo what was made and make it anew, with another key.',
    );
  }
  void reply
    .code(status)
    .header('idempotent-replayed', 'true')
    .type('application/json; charset=utf-8')
    .send(Buffer.from(body));
}

function inUse(message: string, hint: string): Problem {
  return new Problem('idempotency_key_in_use', message, hint);
}

/** A reply that is a stream, or too long, is not kept. */
function bytesOf(payload: unknown): Buffer | null {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : Buffer.isBuffer(payload) ? payload : null;
  return bytes !== null && bytes.length <= longestReply ? bytes : null;
}
