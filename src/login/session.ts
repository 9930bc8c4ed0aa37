// Sessions as a browser's cookie names them: begun by a sign-in, found again, ended when idle or old.

import { randomUUID } from 'node:crypto';
import { type NamedRole, operatorById, rolesOf } from '../registry/operators.ts';
import type { OperatorRow, SessionRow, SignInMethod } from '../registry/operator-tables.ts';
import { isKnownBrowser, sessionBySecret, type UsedUp } from '../registry/sessions.ts';
import { type Caller, type Login, newSecret, sha256Of } from './login.ts';

/** How exact it is remembered when a session was last used, in milliseconds: not every call is to be a write. */
const exactness = 60_000;
const longestUserAgent = 256;

/** Somebody who is signed in. */
export interface SignedIn {
  readonly operator: OperatorRow;
  readonly roles: readonly NamedRole[];
  readonly session: SessionRow;
}

/** Somebody who has just signed in, with the two cookies of theirs: told here, and kept nowhere. */
export interface NewlySignedIn extends SignedIn {
  readonly secret: string;
  readonly browser: string;
}

/**
 * Begins a session of an operator who has shown who they are by `method`. `password` is the hash that was compared, where
 * one was. Throws `unauthenticated` where something of it has changed or been used meanwhile.
 */
export async function beginSession(
  { registry, clock, settings }: Login,
  operator: OperatorRow,
  how: { method: SignInMethod; password: string | null; used: UsedUp },
  caller: Caller,
): Promise<NewlySignedIn> {
  const secret = newSecret();
  const browser = (await isKnown(registry.read, operator, caller)) ? caller.browser! : newSecret();
  const session = await registry.write('beginSession', {
    session: {
      id: randomUUID(),
      operator_id: operator.id,
      secret_sha256: sha256Of(secret),
      method: how.method,
      address: caller.address,
      user_agent: caller.userAgent?.slice(0, longestUserAgent) ?? null,
      expires_at: clock() + settings.lifetime,
    },
    password: how.password,
    used: how.used,
    browser_sha256: sha256Of(browser),
  });
  return { operator, roles: await rolesOf(registry.read, operator.id), session, secret, browser };
}

/** Whether the operator has signed in before from the browser that calls. */
export async function isKnown(
  db: Login['registry']['read'],
  operator: OperatorRow | undefined,
  { browser }: Caller,
): Promise<boolean> {
  return operator !== undefined && browser !== null && isKnownBrowser(db, operator, sha256Of(browser));
}

/** Until when a session counts if it is not used again, in milliseconds since 1970. */
export function endOf({ settings }: Login, { last_used_at, expires_at }: SessionRow): number {
  return Math.min(last_used_at + settings.idle, expires_at);
}

/** Whoever a session's secret belongs to, and notes its use where it is `used`; null where there is no such session, or not any more. */
export async function signedIn(
  login: Login,
  secret: string,
  { used }: { readonly used: boolean } = { used: true },
): Promise<SignedIn | null> {
  const { registry, clock, log, settings } = login;
  const session = await sessionBySecret(registry.read, sha256Of(secret));
  const now = clock();
  if (!session || endOf(login, session) <= now) return null;
  const operator = await operatorById(registry.read, session.operator_id);
  if (!operator || operator.disabled_at !== null) return null;
  if (used && now - session.last_used_at >= Math.min(exactness, settings.idle / 10)) {
    registry
      .write('touchSession', { id: session.id })
      .catch((error: unknown) => log.error({ err: error }, 'it could not be written that a session is in use'));
  }
  return { operator, roles: await rolesOf(registry.read, operator.id), session };
}
