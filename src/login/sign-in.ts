// Signing in with a password, and with what is due beside it.

import { Problem } from '../problem.ts';
import type { OperatorRow, SignInMethod } from '../registry/operator-tables.ts';
import { operatorByName } from '../registry/operators.ts';
import { secondFactorsOf, type SecondFactors } from '../registry/second-factors.ts';
import type { UsedUp } from '../registry/sessions.ts';
import { type Caller, type Login } from './login.ts';
import { operatorName, turnsOf } from './operators.ts';
import { normalPassword } from './password-rules.ts';
import { hashOfRecoveryCode } from './recovery-codes.ts';
import { beginSession, isKnown, type NewlySignedIn } from './session.ts';
import { type Attempt, networkOf } from './throttle.ts';
import { acceptedStep } from './totp.ts';

/** What is typed to sign in. */
export interface PasswordSignIn {
  readonly name: string;
  readonly password: string;
  /** A code of the authenticator app, or a recovery code. */
  readonly totp?: string | undefined;
}

/** Attempts that may fail before the next is to be waited for. */
const free = { pair: 5, network: 20, browser: 10, code: 10 } as const;

/**
 * Signs in by a name and a password, and a code where one is due. Throws `unauthenticated`, the same for a name that there
 * is not as for a wrong password, `second_factor_required` with the `factors` that are taken, and `too_many_requests`.
 */
export async function signIn(login: Login, given: PasswordSignIn, caller: Caller): Promise<NewlySignedIn> {
  requireLocalSignIn(login);
  const name = operatorName(given.name) ?? '';
  const operator = await operatorByName(login.registry.read, name);
  const known = await isKnown(login.registry.read, operator, caller);
  const attempt = beginAttempt(login, { name, operator, known }, caller);
  // Strangers are told apart by network too: a flood with a name keeps its owner out nowhere else.
  const whose = known && operator ? turnsOf(operator) : `pair ${networkOf(caller.address)} ${name}`;
  try {
    const password = await checkPassword(login, operator, given.password, { known, whose });
    const how = await checkSecondFactor(login, password.operator, given.totp, { attempt, known });
    const signedIn = await beginSession(login, password.operator, { ...how, password: password.hash }, caller);
    attempt.succeeded();
    await renewHash(login, password, given.password);
    return signedIn;
  } catch (error) {
    throw failed(login, error, { operator, caller, attempt });
  }
}

/** Throws `forbidden` where people sign in by the identity provider alone. */
export function requireLocalSignIn({ settings }: Login): void {
  if (settings.passwords) return;
  const hint = 'Sign in there: /api/v1/session/sso.';
  throw new Problem('forbidden', 'Everybody signs in by the identity provider here.', hint);
}

function beginAttempt(
  { throttle }: Login,
  { name, operator, known }: { name: string; operator: OperatorRow | undefined; known: boolean },
  caller: Caller,
): Attempt {
  // A browser that has signed in before has a count of its own: what others do from the same address, or anywhere, does
  // not keep it out (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").
  if (known) {
    return throttle.begin([{ key: `browser ${operator?.id} ${caller.browser}`, free: free.browser, forgiven: true }]);
  }
  const network = networkOf(caller.address);
  return throttle.begin([
    { key: `pair ${network} ${name}`, free: free.pair, forgiven: true },
    { key: `network ${network}`, free: free.network, forgiven: false },
  ]);
}

async function checkPassword(
  { hashes }: Login,
  operator: OperatorRow | undefined,
  text: string,
  asker: { known: boolean; whose: string },
): Promise<{ operator: OperatorRow; hash: string }> {
  using password = normalPassword(text);
  const usable = operator?.disabled_at === null ? operator.password : null;
  const right = await hashes.verify(password, usable, asker);
  if (!right || !operator || usable === null) throw wrong();
  return { operator, hash: usable };
}

/** What the operator must show beside the password, checked. */
async function checkSecondFactor(
  login: Login,
  operator: OperatorRow,
  code: string | undefined,
  { attempt, known }: { attempt: Attempt; known: boolean },
): Promise<{ method: SignInMethod; used: UsedUp }> {
  const factors = await secondFactorsOf(login.registry.read, operator.id);
  if (factors.totp === null && factors.passkeys.length === 0) return { method: 'password', used: {} };
  if (code === undefined) {
    attempt.takenBack();
    throw new Problem('second_factor_required', undefined, null, { members: { factors: namesOf(factors) } });
  }
  // Only who knows the password comes here: this count of one operator keeps nobody else out.
  const codes = known ? null : login.throttle.begin([{ key: `code ${operator.id}`, free: free.code, forgiven: true }]);
  const shown = secondFactor(login, factors, code);
  if (shown === null) throw wrong();
  codes?.succeeded();
  return shown;
}

function secondFactor(
  login: Login,
  { totp, recoveryCodes }: SecondFactors,
  code: string,
): { method: SignInMethod; used: UsedUp } | null {
  const step = totp && acceptedStep(login, totp, code);
  if (step !== null) return { method: 'password_and_totp', used: { totp_step: step } };
  const recovery_code_sha256 = hashOfRecoveryCode(code);
  if (!recoveryCodes.includes(recovery_code_sha256)) return null;
  return { method: 'password_and_recovery_code', used: { recovery_code_sha256 } };
}

function namesOf({ totp, passkeys, recoveryCodes }: SecondFactors): string[] {
  return [
    ...(totp ? ['totp'] : []),
    ...(passkeys.length > 0 ? ['passkey'] : []),
    ...(recoveryCodes.length > 0 ? ['recovery_code'] : []),
  ];
}

/** What an attempt that failed is told, noted where it was one. */
export function failed(
  { failures }: Login,
  error: unknown,
  { operator, caller, attempt }: { operator: OperatorRow | undefined; caller: Caller; attempt: Attempt },
): unknown {
  if (!(error instanceof Problem)) {
    attempt.takenBack();
    return error;
  }
  if (error.code === 'unauthenticated') {
    const tried = operator ? { id: operator.id, name: operator.name } : null;
    failures.note({ operator: tried, address: caller.address, result: error.code });
    return wrong();
  }
  if (error.code !== 'second_factor_required') attempt.takenBack();
  return error;
}

/** One sentence for whatever was wrong: which of them it was is nobody's business. */
function wrong(): Problem {
  return new Problem('unauthenticated', 'The name, the password or the code is wrong.');
}

/** Where new hashes cost more than this one did, it gets what they cost. */
async function renewHash(
  { registry, hashes, log }: Login,
  { operator, hash }: { operator: OperatorRow; hash: string },
  text: string,
): Promise<void> {
  if (!hashes.isOutdated(hash)) return;
  using password = normalPassword(text);
  try {
    const renewed = await hashes.hash(password, { known: true, whose: turnsOf(operator) });
    await registry.write('rehashPassword', { id: operator.id, before: hash, password: renewed });
  } catch (error) {
    log.warn({ err: error }, 'the hash of a password could not be renewed: the next sign-in tries again');
  }
}
