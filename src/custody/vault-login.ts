// The ways of logging in to a vault: a token that is given, AppRole, a TLS certificate.

import { stat, readFile } from 'node:fs/promises';

import { Secret } from '../secret.ts';
import { CustodyProblem } from './custodian.ts';
import { faultOf, member, nonsense, succeeded } from './vault-answer.ts';
import { isWrapped, unwrapSecretId } from './vault-secret-id.ts';
import type { VaultAnswer, VaultTransport } from './vault-transport.ts';

/** How to log in; all files are read again at each login. */
export type VaultLogin =
  | { by: 'token'; file: string }
  | { by: 'token'; variable: string }
  | {
      by: 'approle';
      roleId: string;
      secretIdFile: string;
      mount: string;
      /** Leaves a wrapped secret ID to another process of the server: two that take it out would each suspect a thief. */
      leavesWrapped?: boolean;
    }
  | { by: 'certificate'; certificate: string; key: string; role: string | null; mount: string };

/** A token that the vault has taken or given. */
export interface Lease {
  token: Secret;
  /** How long it is good for, in milliseconds from now; null where no end is known. */
  life: number | null;
  renewable: boolean;
}

/** What there is to log in with, as it is now. */
export interface Credentials {
  /** Changes whenever a file is written or touched. */
  mark: string;
  /** How long the vault is not asked again with the same, once it has refused them with this status; in milliseconds. */
  pauseAfter(status: number): number;
  offer(transport: VaultTransport, signal: AbortSignal): Promise<Lease>;
}

/** A login that the vault has refused: it was asked, and said no with this status. */
export class LoginRefused extends CustodyProblem {
  readonly answered: number;

  constructor(answered: number, message: string, hint: string) {
    super('denied', message, hint);
    this.answered = answered;
  }
}

const second = 1000;
const shortPause = () => 5 * second;

/**
 * Both vaults lock a role out for 15 minutes after five wrong secret IDs within 15 minutes, and then refuse the right one
 * too: a secret ID known to be wrong is not offered so often. A status other than 400 says nothing about it.
 */
const appRolePause = (status: number) => (status === 400 ? 16 * 60 * second : 30 * second);

/** Reads what there is to log in with. Throws `denied`, with the file's name, where that is not there. */
export async function readCredentials(login: VaultLogin): Promise<Credentials> {
  switch (login.by) {
    case 'token': {
      const { text, mark, place } = await readToken(login);
      return { mark, pauseAfter: shortPause, offer: (...way) => offerToken(text, place, ...way) };
    }
    case 'approle': {
      const { text, mark } = await readSecret(login.secretIdFile);
      return { mark, pauseAfter: appRolePause, offer: (...way) => offerSecretId(login, text, ...way) };
    }
    case 'certificate': {
      const [certificate, key] = [await readFileOf(login.certificate), await readSecret(login.key)];
      return {
        mark: `${certificate.mark} ${key.mark}`,
        pauseAfter: shortPause,
        offer(transport, signal) {
          present(transport, login, certificate.content, key.text);
          return logIn(transport, login, login.role === null ? {} : { name: login.role }, signal);
        },
      };
    }
  }
}

/**
 * Renews a token, which also tells how long it lives. One that is not renewable is good for as long as the vault takes it.
 * Throws LoginRefused where the vault does not know it (any more).
 */
export async function renew(transport: VaultTransport, token: Secret, signal: AbortSignal): Promise<Lease> {
  const answer = await transport.ask({ method: 'POST', path: 'auth/token/renew-self', body: {}, token }, signal);
  // Both vaults answer 400 to a token that is good and not renewable: the root's, a batch token.
  if (answer.status === 400) return { token, life: null, renewable: false };
  if (answer.status === 403) {
    throw new LoginRefused(
      403,
      `The vault at ${transport.address} does not take our token: it has ended, was revoked, or may not renew itself.`,
      'Give a new token, whose policy has auth/token/renew-self.',
    );
  }
  return leaseOf(answer, transport.address);
}

async function offerToken(token: Secret, place: string, transport: VaultTransport, signal: AbortSignal) {
  try {
    return await renew(transport, token, signal);
  } catch (error) {
    if (!(error instanceof LoginRefused)) throw error;
    throw new LoginRefused(error.answered, `${error.message.slice(0, -1)} (${place}).`, error.hint ?? '');
  }
}

function present(
  transport: VaultTransport,
  login: Extract<VaultLogin, { by: 'certificate' }>,
  certificate: Buffer,
  key: Secret,
): void {
  try {
    transport.present({ certificate, key: key.reveal() });
  } catch (cause) {
    throw new CustodyProblem(
      'denied',
      `The vault cannot be shown the certificate ${login.certificate} with the key ${login.key}: ${(cause as Error).message}.`,
      'Both are PEM, the key without a passphrase and that of the certificate.',
      { cause },
    );
  }
}

async function offerSecretId(
  login: Extract<VaultLogin, { by: 'approle' }>,
  written: Secret,
  transport: VaultTransport,
  signal: AbortSignal,
): Promise<Lease> {
  if (login.leavesWrapped && isWrapped(written)) {
    const { secretIdFile: file } = login;
    throw new CustodyProblem(
      'unavailable',
      `The secret ID in ${file} is wrapped: the process that writes takes it out.`,
    );
  }
  const secretId = await unwrapSecretId(written, login, transport, signal);
  return logIn(transport, login, { role_id: login.roleId, secret_id: secretId.reveal().toString('latin1') }, signal);
}

/** Logs in at a login method of the vault. Throws LoginRefused where it says no. */
async function logIn(
  transport: VaultTransport,
  login: Exclude<VaultLogin, { by: 'token' }>,
  body: object,
  signal: AbortSignal,
): Promise<Lease> {
  const answer = await transport.ask({ method: 'POST', path: `auth/${login.mount}/login`, body }, signal);
  if (answer.status === 400 || answer.status === 403) {
    const what =
      login.by === 'approle' ? `the secret ID in ${login.secretIdFile}` : `the certificate ${login.certificate}`;
    throw new LoginRefused(
      answer.status,
      `The vault at ${transport.address} does not let us in with ${what} (auth/${login.mount}, status ${answer.status}).`,
      login.by === 'approle'
        ? 'Put a new secret ID of the role there; it is read at once when the file changes. After five wrong ones the role is locked out for 15 minutes.'
        : 'See whether vault.certificate_role takes this certificate, and whether it is still valid.',
    );
  }
  return leaseOf(answer, transport.address);
}

function leaseOf(answer: VaultAnswer, address: string): Lease {
  if (!succeeded(answer)) throw faultOf(answer, address, 'log in');
  const token = member(answer, 'auth', 'client_token');
  const life = member(answer, 'auth', 'lease_duration');
  if (typeof token !== 'string' || !isToken(token) || typeof life !== 'number' || !(life >= 0)) {
    throw nonsense(address, 'log in');
  }
  return {
    token: Secret.fromText(token),
    life: life === 0 ? null : life * second,
    renewable: member(answer, 'auth', 'renewable') === true,
  };
}

/** Whether it can stand in a header. */
function isToken(text: string): boolean {
  return /^[\x21-\x7E]{1,4096}$/.test(text);
}

async function readToken(login: Extract<VaultLogin, { by: 'token' }>) {
  if ('file' in login) {
    const { text, mark } = await readSecret(login.file);
    if (!isToken(text.reveal().toString('latin1'))) {
      throw new CustodyProblem(
        'denied',
        `What is in ${login.file} is no token for the vault.`,
        'Write the token there and nothing else: one line of printable ASCII without blanks.',
      );
    }
    return { text, mark, place: login.file };
  }
  const place = `the variable ${login.variable}`;
  const value = process.env[login.variable]?.trim() ?? '';
  if (!isToken(value)) throw new CustodyProblem('denied', `There is no token for the vault in ${place}.`);
  return { text: Secret.fromText(value), mark: place, place };
}

/** A text out of a file that not everybody may read, without the space around it. */
async function readSecret(file: string): Promise<{ text: Secret; mark: string }> {
  const { content, mark, mode } = await readFileOf(file);
  if ((mode & 0o007) !== 0) {
    throw new CustodyProblem(
      'denied',
      `Every user of this machine can reach ${file} (mode ${(mode & 0o777).toString(8)}), so it is not used.`,
      `chmod o= ${file}`,
    );
  }
  const text = content.toString('latin1').trim();
  if (text === '') throw new CustodyProblem('denied', `There is nothing in ${file} to log in to the vault with.`);
  return { text: new Secret(Buffer.from(text, 'latin1')), mark };
}

async function readFileOf(file: string): Promise<{ content: Buffer; mark: string; mode: number }> {
  try {
    const { ino, mtimeMs, size, mode } = await stat(file);
    return { content: await readFile(file), mark: `${ino} ${mtimeMs} ${size}`, mode };
  } catch (cause) {
    throw new CustodyProblem(
      'denied',
      `There is nothing to log in to the vault with: ${(cause as Error).message}.`,
      'The file is looked for again at the next try.',
      { cause },
    );
  }
}
