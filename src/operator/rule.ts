// The rule of a route: what its operation is called, and who may call it. A route without one cannot be added.

import type { FastifyInstance } from 'fastify';

/** What an operator or token may be in an account (docs/roles.md). A server administrator may do what each of them may. */
export const accountRoles = ['owner', 'operator', 'auditor', 'factory'] as const;
export type AccountRole = (typeof accountRoles)[number];

/**
 * Who may call a route: anyone, with no login at all; anyone who is signed in; a server administrator; one who reads the
 * metrics; or, where its path has an `:account`, who has one of these roles in that account, and the administrators.
 */
export type Access = 'anyone' | 'signed-in' | 'administrator' | 'metrics' | readonly AccountRole[];

/** Reads all of an account. */
export const readers = ['owner', 'operator', 'auditor'] as const;
/** Changes devices, credentials and back ends. */
export const changers = ['owner', 'operator'] as const;
/** Changes what the account trusts, its policies, its operators; takes keys out. */
export const owners = ['owner'] as const;
/** What the factory's people may do, beside those who may anyway. */
export const importers = ['owner', 'operator', 'factory'] as const;
/** What the factory's people may see, beside those who read anyway. */
export const viewers = ['owner', 'operator', 'auditor', 'factory'] as const;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The name of the operation in OpenAPI. */
    readonly operationId?: string;
    readonly access?: Access;
    readonly grants?: boolean;
    readonly secretReply?: boolean;
    readonly entityTag?: boolean;
    readonly ownFailures?: boolean;
  }
}

/** What else there is to say of a route. */
export interface Traits {
  /**
   * Whether it gives somebody a way in, or a key out: a token that is no administrator's may not, or a stolen one would
   * outlive its end.
   */
  readonly grants?: boolean;
  /** Whether its reply holds a secret, which is told once. */
  readonly secretReply?: boolean;
  /** Whether its reply, though it is a list, is one thing to If-Match (preconditions.ts). */
  readonly entityTag?: boolean;
  /** Whether it notes by itself who failed to sign in (login/failed-sign-ins.ts): as whom is known there alone. */
  readonly ownFailures?: boolean;
}

/** What a route's options begin with: `{ ...rule('listDevices', viewers), schema: … }`. */
export function rule(
  operationId: string,
  access: Access,
  traits: Traits = {},
): { config: { operationId: string; access: Access } & Traits } {
  return { config: { operationId, access, ...traits } };
}

/** Has every route of `app` that is added from now on refused unless it has a rule of its own, named by nothing else. */
export function requireRules(app: FastifyInstance): void {
  const known = new Map<string, string>();
  app.addHook('onRoute', ({ method, url, config }) => {
    const { operationId, access } = config ?? {};
    const route = `${String(method)} ${url}`;
    if (operationId === undefined || access === undefined) throw new Error(`The route ${route} has no rule.`);
    if (Array.isArray(access) && !url.includes('/:account')) throw new Error(`${route} has a role, but no account.`);
    const other = known.get(operationId);
    // Fastify adds the HEAD of every GET under the same options.
    if (other !== undefined && method !== 'HEAD') throw new Error(`${route} and ${other} are both ${operationId}.`);
    known.set(operationId, route);
  });
}
