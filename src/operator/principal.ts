// Who calls the operators' API: what the guard found out about them, for the routes to read.

import type { FastifyRequest } from 'fastify';
import { Problem } from '../problem.ts';
import type { Actor } from '../registry/acting.ts';
import { type AccountRole, readers } from './rule.ts';

/** Who calls: whoever opened the socket, an operator with a session, or a token. */
export interface Principal {
  readonly kind: 'socket' | 'operator' | 'token';
  /** The operator's or token's ID; null for the socket. */
  readonly id: string | null;
  readonly name: string;
  /** Whether it administers the server: it then may do everything in every account. */
  readonly administrator: boolean;
  /** Whether it may read the metrics of the whole server, and nothing else of it. */
  readonly metrics: boolean;
  /** The role in each account that it has one in, by the account's UUID. */
  readonly roles: ReadonlyMap<string, AccountRole>;
  /** The ID of the session, where there is one. */
  readonly session: string | null;
}

/** Who can open the socket administers the server. */
export const socketPrincipal: Principal = {
  kind: 'socket',
  id: null,
  name: 'socket',
  administrator: true,
  metrics: true,
  roles: new Map(),
  session: null,
};

declare module 'fastify' {
  interface FastifyRequest {
    /** Null until the guard has found out, and for good where nobody is signed in. */
    principal: Principal | null;
  }
}

/** Who calls. Throws Problem `unauthenticated` where nobody is signed in, which the guard has seen to everywhere else. */
export function principalOf({ principal }: FastifyRequest): Principal {
  if (principal === null) throw new Problem('unauthenticated');
  return principal;
}

/** Whether the account may be known to exist. */
export function sees({ administrator, roles }: Principal, account_id: string): boolean {
  return administrator || roles.has(account_id);
}

/** Whether it reads all of an account: what the factory's people see of devices is whether they have arrived. */
export function readsAll({ administrator, roles }: Principal, account_id: string): boolean {
  const role = roles.get(account_id);
  return administrator || (readers as readonly (AccountRole | undefined)[]).includes(role);
}

/** The same as whoever did something, for the audit log. */
export function actorOf(request: FastifyRequest): Actor {
  const address = request.ip || null;
  const { principal } = request;
  if (principal === null) return { kind: 'operator', id: null, name: 'nobody', address, request: request.id };
  const { kind, id, name } = principal;
  return { kind, id, name, address, request: request.id };
}
