// Operators as administrators make them: by a password, by an invitation, or, the first one, by the link of the start.

import { randomUUID } from 'node:crypto';
import { Problem } from '../problem.ts';
import type { OperatorRow } from '../registry/operator-tables.ts';
import { invitedOperator, requireOffer } from '../registry/invitations.ts';
import { administratorExists, type NewInvitation, rolesOf } from '../registry/operators.ts';
import { secondFactorsOf } from '../registry/second-factors.ts';
import { sessionsOf } from '../registry/sessions.ts';
import { type Caller, type Login, newSecret, sha256Of } from './login.ts';
import { checkNewPassword, normalPassword } from './password-rules.ts';
import { networkOf } from './throttle.ts';

/** How long the link that makes the first administrator counts, in milliseconds. */
const firstLinkLifetime = 15 * 60_000;
/** How long an invitation counts, in milliseconds. */
const invitationLifetime = 72 * 60 * 60_000;
/** Links that may be tried from one network before the next is to be waited for. */
const freeLinks = 10;
/** Times that the present password may be wrong where it is asked for once more. */
const freePasswords = 5;

/** An invitation as it is told, once. */
export interface Invitation {
  readonly secret: string;
  /** Milliseconds since 1970. */
  readonly expires_at: number;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A name to sign in by, as it is kept: in lower case, an e-mail address or a word. Null where the text is none. */
export function operatorName(text: string): string | null {
  const name = text.normalize('NFC').toLowerCase();
  return /^[a-z0-9]([a-z0-9._+@-]{0,126}[a-z0-9])?$/.test(name) && !uuid.test(name) ? name : null;
}

function requireName(text: string): string {
  const name = operatorName(text);
  if (name !== null) return name;
  throw new Problem(
    'invalid_request',
    `${JSON.stringify(text)} is no name of an operator.`,
    'An e-mail address, or letters, digits and any of . _ + @ - inside it, up to 128 characters; no UUID.',
  );
}

/** Until it has been used or ends, this secret makes the first administrator. Null where there is an administrator. */
export async function offerFirstAdministrator({ registry, clock }: Login): Promise<string | null> {
  if (await administratorExists(registry.read)) return null;
  const secret = newSecret();
  const offer = { secret_sha256: sha256Of(secret), expires_at: clock() + firstLinkLifetime };
  return (await registry.write('offerFirstAdministrator', offer)) ? secret : null;
}

/** Makes the first administrator. Throws `link_invalid`, `password_unfit`, `invalid_request`, `name_taken`. */
export async function createFirstAdministrator(
  login: Login,
  given: { secret: string; name: string; password: string },
  caller: Caller,
): Promise<OperatorRow> {
  const name = requireName(given.name);
  checkNewPassword(given.password, [name]);
  const secret_sha256 = sha256Of(given.secret);
  return byLink(login, caller, async () => {
    // Nobody without the link has anything hashed.
    await requireOffer(login.registry.read, secret_sha256, login.clock());
    const password = await hashOf(login, given.password);
    return login.registry.write('createFirstAdministrator', { secret_sha256, id: randomUUID(), name, password });
  });
}

/**
 * Makes an operator: with a password, or without one by an invitation; `made_for` the account whose owner does, where no
 * administrator does. Throws as the first administrator's making does, and `conflict` for too many of an account.
 */
export async function createOperator(
  login: Login,
  given: { name: string; administrator: boolean; password?: string | undefined; made_for?: string | null },
): Promise<{ operator: OperatorRow; invitation: Invitation | null }> {
  const name = requireName(given.name);
  if (given.password !== undefined) checkNewPassword(given.password, [name]);
  const invitation = given.password === undefined ? newInvitation(login) : null;
  const operator = await login.registry.write('createOperator', {
    id: randomUUID(),
    name,
    administrator: given.administrator,
    password: given.password === undefined ? null : await hashOf(login, given.password),
    invitation: invitation && kept(invitation),
    made_for: given.made_for ?? null,
  });
  return { operator, invitation };
}

/** Changes what an operator is called, whether they administer the server, whether they may sign in; or only tries it. */
export async function changeOperator(
  { registry }: Login,
  { id }: OperatorRow,
  change: { name?: string | undefined; administrator?: boolean | undefined; disabled?: boolean | undefined },
  { rehearsal = false }: { rehearsal?: boolean } = {},
): Promise<OperatorRow> {
  const name = change.name === undefined ? undefined : requireName(change.name);
  const given = { ...change, id, name };
  return rehearsal ? registry.rehearse('changeOperator', given) : registry.write('changeOperator', given);
}

/** Takes an operator's password and second factors away and invites them to begin anew. */
export async function resetOperator(
  login: Login,
  { id }: OperatorRow,
): Promise<{ operator: OperatorRow; invitation: Invitation }> {
  const invitation = newInvitation(login);
  return { operator: await login.registry.write('resetOperator', { id, invitation: kept(invitation) }), invitation };
}

/** What a reset, or the end of all sessions, takes from an operator: how each is called. */
export async function loginsOf({ registry }: Login, { id, password }: OperatorRow) {
  const { totp, passkeys, recoveryCodes } = await secondFactorsOf(registry.read, id);
  return {
    passwords: password === null ? [] : ['password'],
    second_factors: [
      ...(totp ? ['authenticator app'] : []),
      ...passkeys.map(({ name }) => `passkey ${name}`),
      ...(recoveryCodes.length > 0 ? [`${recoveryCodes.length} recovery codes`] : []),
    ],
    sessions: (await sessionsOf(registry.read, id)).map((session) => session.id),
  };
}

/** Fails as a reset would, and does nothing. */
export async function rehearseReset(login: Login, { id }: OperatorRow): Promise<void> {
  await login.registry.rehearse('resetOperator', { id, invitation: kept(newInvitation(login)) });
}

/** Gives whoever was invited their password. Throws `link_invalid`, `password_unfit`. */
export async function acceptInvitation(
  login: Login,
  { secret, password }: { secret: string; password: string },
  caller: Caller,
): Promise<OperatorRow> {
  const secret_sha256 = sha256Of(secret);
  return byLink(login, caller, async () => {
    const invited = await invitedOperator(login.registry.read, secret_sha256);
    if (invited) checkNewPassword(password, await wordsOf(login, invited));
    const hash = invited ? await hashOf(login, password, turnsOf(invited)) : '';
    return login.registry.write('acceptInvitation', { secret_sha256, password: hash });
  });
}

/**
 * Gives an operator a new password in place of the old, and ends their other sessions. Throws `forbidden` for a
 * wrong old one, `password_unfit`, and `conflict` for who has none.
 */
export async function changePassword(
  login: Login,
  operator: OperatorRow,
  { old, fresh, session }: { old: string; fresh: string; session: string },
): Promise<void> {
  await confirmPassword(login, operator, old);
  checkNewPassword(fresh, await wordsOf(login, operator));
  const password = await hashOf(login, fresh, turnsOf(operator));
  await login.registry.write('changePassword', { id: operator.id, before: operator.password!, password, session });
}

/** Throws `forbidden` where this is not the operator's password, `conflict` where they have none. */
export async function confirmPassword(login: Login, operator: OperatorRow, text: string): Promise<void> {
  requirePassword(operator);
  // Only who has a session of theirs comes here: whoever has stolen one is not to find the password by it.
  const attempt = login.throttle.begin([{ key: `own ${operator.id}`, free: freePasswords, forgiven: true }]);
  using password = normalPassword(text);
  let right: boolean;
  try {
    right = await login.hashes.verify(password, operator.password, { known: true, whose: turnsOf(operator) });
  } catch (error) {
    attempt.takenBack();
    throw error;
  }
  if (!right) throw new Problem('forbidden', 'The present password is wrong.');
  attempt.succeeded();
}

/** What the turns of an operator at hashing are counted by, whom we know for one. */
export function turnsOf({ id }: Pick<OperatorRow, 'id'>): string {
  return `operator ${id}`;
}

/** Throws `conflict` for an operator without a password: an identity provider says who they are, and with which factors. */
export function requirePassword({ password }: OperatorRow): void {
  if (password !== null) return;
  throw new Problem('conflict', 'You sign in by single sign-on: your passwords and second factors are kept there.');
}

/** What somebody who guesses would begin with. */
async function wordsOf({ registry }: Login, { id, name }: OperatorRow): Promise<string[]> {
  const [local = name] = name.split('@');
  return [name, local, ...(await rolesOf(registry.read, id)).map(({ account_name }) => account_name)];
}

async function hashOf({ hashes }: Login, text: string, whose: string | null = null): Promise<string> {
  using password = normalPassword(text);
  // Awaited here: it is wiped when this function returns.
  return await hashes.hash(password, { whose });
}

function newInvitation({ clock }: Login): Invitation {
  return { secret: newSecret(), expires_at: clock() + invitationLifetime };
}

function kept({ secret, expires_at }: Invitation): NewInvitation {
  return { secret_sha256: sha256Of(secret), expires_at };
}

/** What is done by a link, with links that are none counted by network. */
async function byLink<T>({ throttle, failures }: Login, { address }: Caller, work: () => Promise<T>): Promise<T> {
  const attempt = throttle.begin([{ key: `link ${networkOf(address)}`, free: freeLinks, forgiven: false }]);
  try {
    const done = await work();
    attempt.succeeded();
    return done;
  } catch (error) {
    if (error instanceof Problem && error.code === 'link_invalid') {
      failures.note({ operator: null, address, result: error.code });
    } else attempt.takenBack();
    throw error;
  }
}
