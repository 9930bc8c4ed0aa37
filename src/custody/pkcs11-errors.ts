// What the return values of PKCS #11 (v2.40 §5.1, `CKR_…`) mean to the contract.

import { CustodyProblem } from './custodian.ts';
import type { CustodyFault } from './custodian.ts';
import type { Failure } from './pkcs11-messages.ts';

/** After one of these nothing of what was opened holds any more: sessions, handles, perhaps the module itself. */
const gone = new Set([
  'CKR_CRYPTOKI_NOT_INITIALIZED',
  'CKR_DEVICE_ERROR',
  'CKR_DEVICE_REMOVED',
  'CKR_GENERAL_ERROR',
  'CKR_SESSION_CLOSED',
  'CKR_SESSION_HANDLE_INVALID',
  'CKR_SLOT_ID_INVALID',
  'CKR_TOKEN_NOT_PRESENT',
  'CKR_TOKEN_NOT_RECOGNIZED',
  'CKR_USER_NOT_LOGGED_IN',
]);

/** The token understood, and does not do it: its policy, its firmware, or the rights of this user. */
const denied = new Set([
  'CKR_ATTRIBUTE_READ_ONLY',
  'CKR_ATTRIBUTE_TYPE_INVALID',
  'CKR_ATTRIBUTE_VALUE_INVALID',
  'CKR_DOMAIN_PARAMS_INVALID',
  'CKR_FUNCTION_NOT_SUPPORTED',
  'CKR_FUNCTION_REJECTED',
  'CKR_KEY_FUNCTION_NOT_PERMITTED',
  'CKR_KEY_SIZE_RANGE',
  'CKR_MECHANISM_INVALID',
  'CKR_PIN_EXPIRED',
  'CKR_PIN_INCORRECT',
  'CKR_PIN_INVALID',
  'CKR_PIN_LEN_RANGE',
  'CKR_SESSION_READ_ONLY',
  'CKR_TEMPLATE_INCONSISTENT',
  'CKR_TOKEN_WRITE_PROTECTED',
]);

const sealed = new Set(['CKR_PIN_LOCKED', 'CKR_USER_PIN_NOT_INITIALIZED']);

/** The token, or the login to it, went away while it was used. What was opened is to be opened anew. */
export class TokenGone extends CustodyProblem {
  constructor(message: string, options?: ErrorOptions) {
    super(
      'unavailable',
      message,
      'Check that the HSM is reachable and its token is there; it is tried again.',
      options,
    );
  }
}

/** The `CKR_…` that an error of pkcs11js carries, or null where it is another error. */
export function returnValueOf(error: unknown): string | null {
  const found = error instanceof Error ? /\bCKR_\w+(?::\d+)?/.exec(error.message) : null;
  return found?.[0] ?? null;
}

/** Whether the object behind a handle is not there (any more), or the handle is of another time. */
export function isStaleHandle(error: unknown): boolean {
  return /^CKR_(OBJECT|KEY)_HANDLE_INVALID\b/.test(returnValueOf(error) ?? '');
}

/** What an error means that came of `what` ("signing with key X"). One that is none of the module's stays as it is. */
export function asProblem(error: unknown, what: string): unknown {
  const value = returnValueOf(error);
  if (error instanceof CustodyProblem || value === null) return error;
  const name = value.replace(/:\d+$/, '');
  const message = `The HSM answered ${value} to ${what}.`;
  if (gone.has(name)) return new TokenGone(message, { cause: error });
  return new CustodyProblem(faultOf(name), message, hintOf(name), { cause: error });
}

function faultOf(name: string): CustodyFault {
  if (sealed.has(name)) return 'sealed';
  return denied.has(name) ? 'denied' : 'unavailable';
}

function hintOf(name: string): string | null {
  if (sealed.has(name)) return 'Have the security officer of the token set the PIN anew.';
  return denied.has(name)
    ? "The HSM's manual says what its policy and firmware allow; docs/keep-keys-in-an-hsm.md what is used."
    : null;
}

/** A problem in parts, to be sent. What is no CustodyProblem is our bug, or the module's. */
export function failureOf(error: unknown): Failure {
  const known = error instanceof CustodyProblem;
  return {
    fault: known ? error.fault : 'unavailable',
    message: known ? error.message : `The process that holds the HSM's token failed: ${String(error)}.`,
    hint: known ? error.hint : null,
    gone: error instanceof TokenGone,
  };
}
