// The secret ID of AppRole that comes wrapped: taken out once, with an alarm where somebody else was faster.

import { open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

import { Secret } from '../secret.ts';
import { CustodyProblem } from './custodian.ts';
import { faultOf, member, nonsense, succeeded } from './vault-answer.ts';
import type { VaultTransport } from './vault-transport.ts';

/** What both vaults' service tokens begin with; a secret ID is a UUID, or a word that an operator chose. */
const wrappingToken = /^(hvs|s)\.[\w.-]+$/;

/** Whether what is written in a file is a wrapping token, and not the secret ID itself. */
export function isWrapped(written: Secret): boolean {
  return wrappingToken.test(written.reveal().toString('latin1'));
}

/**
 * The secret ID of what is written in the file: that itself, or what is wrapped in it. A wrapped one is good for being
 * taken out once, so it is written back into the file (0600, renamed into place) before it is used: the next start
 * finds it there. That this can be done is made sure of first, since it cannot be taken out again.
 *
 * Throws `denied` where the wrapping token is spent or was made for something else: that is how one learns that somebody
 * has read the secret ID on its way, or exchanged it (docs of OpenBao and of Vault, "Response wrapping").
 */
export async function unwrapSecretId(
  written: Secret,
  { secretIdFile: file, mount }: { secretIdFile: string; mount: string },
  transport: VaultTransport,
  signal: AbortSignal,
): Promise<Secret> {
  if (!isWrapped(written)) return written;
  const token = written.reveal().toString('latin1');
  await requireOrigin(token, file, mount, transport, signal);

  const unfinished = `${file}.new`;
  const place = await openBeside(unfinished, file);
  try {
    const answer = await transport.ask(
      { method: 'POST', path: 'sys/wrapping/unwrap', body: {}, token: written },
      signal,
    );
    if (answer.status === 400 || answer.status === 403) throw spent(file, transport.address);
    if (!succeeded(answer)) throw faultOf(answer, transport.address, 'unwrap the secret ID');
    const secretId = member(answer, 'data', 'secret_id');
    if (typeof secretId !== 'string' || !/^[\x21-\x7E]+$/.test(secretId)) {
      throw nonsense(transport.address, 'unwrap the secret ID');
    }
    await keep(place, secretId, unfinished, file);
    return Secret.fromText(secretId);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  } finally {
    await place.close();
  }
}

/** Puts the secret ID where the wrapping token was, durably. */
async function keep(place: FileHandle, secretId: string, unfinished: string, file: string): Promise<void> {
  try {
    await place.writeFile(`${secretId}\n`);
    await place.sync();
    await rename(unfinished, file);
    await using directory = await open(dirname(file));
    await directory.sync();
  } catch (cause) {
    throw new CustodyProblem(
      'denied',
      `The secret ID that was wrapped in ${file} could not be written there, and is lost: ${(cause as Error).message}.`,
      'Put a new one there, wrapped or not, once the disk takes it.',
      { cause },
    );
  }
}

/** Looks, without spending it, whether the token wraps a secret ID made at our AppRole mount. */
async function requireOrigin(
  token: string,
  file: string,
  mount: string,
  transport: VaultTransport,
  signal: AbortSignal,
): Promise<void> {
  const answer = await transport.ask(
    { method: 'POST', path: 'sys/wrapping/lookup', body: { token }, repeatable: true },
    signal,
  );
  if (answer.status === 400 || answer.status === 403) throw spent(file, transport.address);
  if (!succeeded(answer)) throw faultOf(answer, transport.address, 'look at the wrapped secret ID');
  const origin = member(answer, 'data', 'creation_path');
  if (typeof origin !== 'string') throw nonsense(transport.address, 'look at the wrapped secret ID');
  const start = `auth/${mount}/role/`;
  const made = origin.startsWith(start) && /^[^/]+\/(custom-)?secret-id$/.test(origin.slice(start.length));
  if (made) return;
  throw new CustodyProblem(
    'denied',
    `SECURITY: the wrapping token in ${file} does not wrap a secret ID of auth/${mount}: somebody may have exchanged it.`,
    'Find out who wrote that file, destroy the secret ID that was meant for it, and make a new one.',
  );
}

function spent(file: string, address: string): CustodyProblem {
  return new CustodyProblem(
    'denied',
    `SECURITY: the vault at ${address} says that the wrapping token in ${file} has been used already, or has ended. If it was still good, somebody else has the secret ID.`,
    'Unless its time had run out: destroy that secret ID by its accessor, find out who took it, and make a new one.',
  );
}

async function openBeside(unfinished: string, file: string): Promise<FileHandle> {
  try {
    const place = await open(unfinished, 'w', 0o600);
    await place.chmod(0o600);
    return place;
  } catch (cause) {
    throw new CustodyProblem(
      'denied',
      `The secret ID in ${file} is wrapped and was left so, since it could not be kept: ${(cause as Error).message}.`,
      `Let the server write into ${dirname(file)}: what is unwrapped is written there in place of the wrapping token.`,
      { cause },
    );
  }
}
