// The way to an HSM's token: which one it is, the PIN, and the login, which a wrong PIN gets only once.

import { createHmac } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Handle, TokenInfo } from 'pkcs11js';

import { Secret } from '../secret.ts';
import { CustodyProblem } from './custodian.ts';
import { asProblem, returnValueOf } from './pkcs11-errors.ts';
import type { Start, TokenSettings } from './pkcs11-messages.ts';
import type { Module, Pkcs11 } from './pkcs11-module.ts';

/** A token that the user is logged in to, for as long as `session` is open. */
export interface Login {
  slot: Handle;
  serial: string;
  session: Handle;
}

/** Its group may read a PIN file: so systemd's credentials look, by their access-control lists, and other secret stores' too. */
const notItsReaders = 0o037;

/** The token did not take this PIN; `mark` is how it is known again. */
export class PinRefused extends CustodyProblem {
  readonly mark: Buffer;

  constructor(mark: Buffer, message: string, hint: string, options?: ErrorOptions) {
    super('denied', message, hint, options);
    this.mark = mark;
  }
}

/** Finds the token and logs in as its user (CKU_USER). Throws CustodyProblem, PinRefused where it was the PIN. */
export async function logIn(module: Module, start: Start): Promise<Login> {
  const { p, cryptoki } = module;
  const { slot, serial, label } = findToken(module, start);
  const token = `The token ${label} (serial number ${serial})`;
  requireUsablePin(p, token, cryptoki.C_GetTokenInfo(slot).flags);
  using pin = await readPin(start);
  const mark = createHmac('sha256', start.marking).update(pin.digested).digest();
  const refusal = (options?: ErrorOptions) =>
    new PinRefused(
      mark,
      `${token} does not take the PIN ${pin.place}.`,
      'It is not tried again, lest the token lock it: write the right PIN, or the same one anew if it is right now, ' +
        'and where it comes from a variable, restart the server.',
      options,
    );
  if (start.refused?.equals(mark)) throw refusal();
  const session = cryptoki.C_OpenSession(slot, p.CKF_SERIAL_SESSION | p.CKF_RW_SESSION);
  try {
    // A string, as pkcs11js takes it: no more can be wiped of it than our bytes.
    cryptoki.C_Login(session, p.CKU_USER, pin.text.reveal().toString('utf8'));
  } catch (error) {
    const value = returnValueOf(error) ?? '';
    // Some modules share a login between processes.
    if (value.startsWith('CKR_USER_ALREADY_LOGGED_IN')) return { slot, serial, session };
    if (/^CKR_PIN_(INCORRECT|INVALID|LEN_RANGE)\b/.test(value)) throw refusal({ cause: error });
    throw asProblem(error, `the login to the token ${label}`);
  }
  return { slot, serial, session };
}

function findToken(
  { p, cryptoki }: Module,
  { tokenLabel, tokenSerial, module }: TokenSettings,
): { slot: Handle; serial: string; label: string } {
  const tokens = cryptoki.C_GetSlotList(true).flatMap((slot) => {
    const info = infoOf(() => cryptoki.C_GetTokenInfo(slot));
    if (info === null || (info.flags & p.CKF_TOKEN_INITIALIZED) === 0) return [];
    return [{ slot, label: info.label.trimEnd(), serial: info.serialNumber.trim() }];
  });
  const found = tokens.filter(({ label, serial }) =>
    tokenLabel === null ? serial === tokenSerial : label === tokenLabel,
  );
  const sought = tokenLabel === null ? `with the serial number ${tokenSerial}` : `labelled ${tokenLabel}`;
  if (found.length > 1) {
    throw new CustodyProblem(
      'unavailable',
      `${module} has ${found.length} tokens ${sought}: ${found.map(({ serial }) => serial).join(', ')}.`,
      'Name one by pkcs11.token_serial instead of pkcs11.token_label.',
    );
  }
  if (found[0]) return found[0];
  const others = tokens.map(({ label, serial }) => `${label} (${serial})`).join(', ');
  throw new CustodyProblem(
    'unavailable',
    `${module} has no token ${sought}; it has ${others || 'none'}.`,
    'Check pkcs11.token_label or pkcs11.token_serial, and that the HSM is reachable: pkcs11-tool --list-token-slots.',
  );
}

/** A slot whose token is just being taken out says so by an error; it is no token then. */
function infoOf(read: () => TokenInfo): TokenInfo | null {
  try {
    return read();
  } catch {
    return null;
  }
}

/** The last try is left to people: a server that starts again and again would lock the PIN with a wrong one. */
export function requireUsablePin(
  p: Pick<Pkcs11, 'CKF_USER_PIN_INITIALIZED' | 'CKF_USER_PIN_LOCKED' | 'CKF_USER_PIN_FINAL_TRY'>,
  token: string,
  flags: number,
): void {
  if ((flags & p.CKF_USER_PIN_LOCKED) !== 0 || (flags & p.CKF_USER_PIN_INITIALIZED) === 0) {
    const state = (flags & p.CKF_USER_PIN_LOCKED) !== 0 ? 'has locked its user PIN' : 'has no user PIN yet';
    throw new CustodyProblem('sealed', `${token} ${state}.`, 'Have the security officer of the token set it anew.');
  }
  if ((flags & p.CKF_USER_PIN_FINAL_TRY) !== 0) {
    throw new CustodyProblem(
      'denied',
      `${token} locks its user PIN if the next one is wrong; the server does not try.`,
      'Log in once by hand with the right PIN (pkcs11-tool --login --list-objects): that gives all the tries back.',
    );
  }
}

interface Pin extends Disposable {
  text: Secret;
  /** What its mark is made of: the PIN and, of a file, when it was written, so that writing it again is a new try. */
  digested: Buffer;
  /** Where it comes from, in words. */
  place: string;
}

/** The PIN of the file or the variable, without the line's end. Throws CustodyProblem `denied`. */
async function readPin({ pinFile, pinVariable }: TokenSettings): Promise<Pin> {
  if (pinFile === null) {
    const value = process.env[pinVariable!] ?? '';
    return pinOf(Buffer.from(value, 'utf8'), '', `of the variable ${pinVariable}`);
  }
  try {
    await using file = await open(pinFile);
    const { mode, mtimeMs } = await file.stat();
    if ((mode & notItsReaders) !== 0) {
      throw new CustodyProblem(
        'denied',
        `The PIN file ${pinFile} can be reached by others than its owner and group (mode ${(mode & 0o777).toString(8)}).`,
        `chmod 600 ${pinFile}`,
      );
    }
    return pinOf(await file.readFile(), String(mtimeMs), `of the file ${pinFile}`);
  } catch (cause) {
    if (cause instanceof CustodyProblem) throw cause;
    const why = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new CustodyProblem('denied', `The PIN file ${pinFile} cannot be read (${why}).`, null, { cause });
  }
}

function pinOf(content: Buffer, written: string, place: string): Pin {
  let end = content.length;
  while (end > 0 && (content[end - 1] === 0x0a || content[end - 1] === 0x0d)) end -= 1;
  const text = new Secret(Buffer.from(content.subarray(0, end)));
  const digested = Buffer.concat([Buffer.from(`${written}\n`), text.reveal()]);
  content.fill(0);
  if (end === 0) throw new CustodyProblem('denied', `The PIN ${place} is empty.`);
  return {
    text,
    digested,
    place,
    [Symbol.dispose]() {
      text.wipe();
      digested.fill(0);
    },
  };
}
