// Operators and their sessions as they are answered.

import type { Invitation } from '../login/operators.ts';
import { endOf, type SignedIn } from '../login/session.ts';
import type { Login } from '../login/login.ts';
import type { OperatorRow, PasskeyRow, SessionRow } from '../registry/operator-tables.ts';
import { invitedUntil } from '../registry/invitations.ts';
import { type NamedRole, rolesOf } from '../registry/operators.ts';
import { secondFactorsOf } from '../registry/second-factors.ts';
import { formatInstant } from '../time.ts';
import type {
  BegunSessionJson,
  InvitationJson,
  InvitedOperatorJson,
  OperatorJson,
  PasskeyJson,
  RoleJson,
  OwnSessionJson,
} from './login-schemas.ts';

/** An operator's roles. */
function rolesJson(roles: readonly NamedRole[]): RoleJson[] {
  return roles.map(({ account_id, account_name, role }) => ({ account: account_id, account_name, role }));
}

/** An operator as administrators see them. */
export async function operatorJson({ registry: { read } }: Login, row: OperatorRow): Promise<OperatorJson> {
  const { totp, passkeys } = await secondFactorsOf(read, row.id);
  return {
    id: row.id,
    name: row.name,
    administrator: row.administrator === 1,
    roles: rolesJson(await rolesOf(read, row.id)),
    disabled: row.disabled_at !== null,
    has_password: row.password !== null,
    totp: totp !== null,
    passkeys: passkeys.length,
    invited_until: formatInstant(await invitedUntil(read, row.id)),
    created_at: formatInstant(row.created_at),
    last_sign_in_at: formatInstant(row.last_sign_in_at),
  };
}

/** An operator with the invitation that was just made, where one was; `base` is where operators reach the server. */
export async function invitedOperatorJson(
  login: Login,
  { operator, invitation }: { operator: OperatorRow; invitation: Invitation | null },
  base: string,
): Promise<InvitedOperatorJson> {
  return {
    ...(await operatorJson(login, operator)),
    invitation: invitation && invitationJson(invitation, base),
  };
}

/** An invitation, which is told once. */
export function invitationJson({ secret, expires_at }: Invitation, base: string): InvitationJson {
  // After the #, which no server, proxy or log is sent.
  return { secret, url: `${base}/invitation#${secret}`, expires_at: formatInstant(expires_at) };
}

/** A session that has just begun. */
export async function begunSessionJson(
  { registry: { read } }: Login,
  { operator, roles, session }: SignedIn,
): Promise<BegunSessionJson> {
  const { id, name, administrator } = operator;
  return {
    operator: { id, name, administrator: administrator === 1, roles: rolesJson(roles) },
    method: session.method,
    expires_at: formatInstant(session.expires_at),
    recovery_codes_left: (await secondFactorsOf(read, id)).recoveryCodes.length,
  };
}

/** One of an operator's own sessions. */
export function sessionJson(login: Login, row: SessionRow, present: string | null): OwnSessionJson {
  return {
    id: row.id,
    present: row.id === present,
    method: row.method,
    address: row.address,
    user_agent: row.user_agent,
    created_at: formatInstant(row.created_at),
    last_used_at: formatInstant(row.last_used_at),
    expires_at: formatInstant(endOf(login, row)),
  };
}

/** One of an operator's own passkeys. */
export function passkeyJson(row: PasskeyRow): PasskeyJson {
  return {
    id: row.id,
    name: row.name,
    backed_up: row.backed_up === 1,
    created_at: formatInstant(row.created_at),
    last_used_at: formatInstant(row.last_used_at),
  };
}
