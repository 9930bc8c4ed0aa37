// Authenticator apps: time-based one-time passwords (RFC 6238), each taken once.

import { Secret as OtpSecret, TOTP } from 'otpauth';
import { randomBytes } from 'node:crypto';
import { Problem } from '../problem.ts';
import type { OperatorRow, TotpSecretRow } from '../registry/operator-tables.ts';
import { totpSecret } from '../registry/second-factors.ts';
import type { Login } from './login.ts';
import { newRecoveryCodes } from './recovery-codes.ts';

/** Of 160 bits, as RFC 4226 §4 recommends; SHA-1, six digits and 30 seconds are what every app can do. */
const secretSize = 20;
const kind = { issuer: 'Fleetroot', algorithm: 'SHA1', digits: 6, period: 30 } as const;
/** How many time steps a phone's clock may be off, either way. */
const tolerance = 1;

/** What an operator's secret is called in the seal. */
export const totpContext = (operator_id: string): string => `totp:${operator_id}`;

/** Makes a secret for an operator's app and gives it as the `otpauth://` URI that the app scans, once. */
export async function beginTotp({ registry, seal }: Login, operator: OperatorRow): Promise<string> {
  const secret = randomBytes(secretSize);
  try {
    const sealed = seal.seal(secret, totpContext(operator.id));
    await registry.write('beginTotp', { operator_id: operator.id, sealed });
    return new TOTP({ ...kind, label: operator.name, secret: secretOf(secret) }).toString();
  } finally {
    secret.fill(0);
  }
}

/**
 * Puts the secret that was made last in use, once a code of it proves that the app has it. Gives recovery codes, where the
 * operator had none. Throws `conflict` where none was made, and `forbidden` for a code that is wrong.
 */
export async function confirmTotp(
  login: Login,
  { id: operator_id }: OperatorRow,
  code: string,
): Promise<{ recovery_codes: string[] | null }> {
  const pending = await totpSecret(login.registry.read, operator_id, 'pending');
  if (!pending) throw new Problem('conflict', 'No authenticator app waits for its first code.', 'Begin anew.');
  const step = acceptedStep(login, pending, code);
  if (step === null) throw new Problem('forbidden', 'The code is wrong.', 'Is the clock of the phone right?');
  const { codes, hashes } = newRecoveryCodes();
  const { recovery } = await login.registry.write('confirmTotp', {
    operator_id,
    sealed: pending.sealed,
    step,
    recovery: hashes,
  });
  return { recovery_codes: recovery ? codes : null };
}

/** The time step of a code that is right now and newer than the last one taken, else null. */
export function acceptedStep({ seal, clock }: Login, row: TotpSecretRow, code: string): number | null {
  if (!/^\d{6}$/.test(code)) return null;
  using secret = seal.open(row.sealed, totpContext(row.operator_id));
  const timestamp = clock();
  const totp = new TOTP({ ...kind, secret: secretOf(secret.reveal()) });
  const delta = totp.validate({ token: code, timestamp, window: tolerance });
  if (delta === null) return null;
  const step = totp.counter({ timestamp }) + delta;
  return row.last_step !== null && step <= row.last_step ? null : step;
}

/** As the library takes it. */
function secretOf(bytes: Buffer): OtpSecret {
  return new OtpSecret({ buffer: new Uint8Array(bytes).buffer });
}
