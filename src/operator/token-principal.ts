// Who calls with an API token.

import type { FastifyRequest } from 'fastify';
import type { Tokens } from '../login/tokens.ts';
import { Problem } from '../problem.ts';
import type { TokenRow } from '../registry/token-tables.ts';
import type { Principal } from './principal.ts';
import { type AccountRole, accountRoles } from './rule.ts';

/**
 * Whoever shows a token in `Authorization: Bearer` (RFC 6750 §2.1); null where nothing of the kind is shown. Throws
 * `unauthenticated` for a token that does not count, and for an Authorization that is something else: who means to be
 * somebody is not taken for nobody.
 */
export async function principalOfToken(tokens: Tokens, { headers, ip }: FastifyRequest): Promise<Principal | null> {
  const { authorization } = headers;
  if (authorization === undefined) return null;
  const [, text] = /^Bearer +(\S+) *$/i.exec(authorization) ?? [];
  if (text === undefined)
    throw new Problem('unauthenticated', 'The Authorization header is to be "Bearer" and a token.');
  return principalOf(await tokens.find(text, ip || null));
}

function principalOf({ id, description, account_id, role }: TokenRow): Principal {
  const administrator = account_id === null && role === 'administrator';
  return {
    kind: 'token',
    id,
    name: description,
    administrator,
    metrics: administrator || (account_id === null && role === 'metrics'),
    roles: new Map(account_id !== null && isAccountRole(role) ? [[account_id, role]] : []),
    session: null,
  };
}

function isAccountRole(role: string): role is AccountRole {
  return (accountRoles as readonly string[]).includes(role);
}
