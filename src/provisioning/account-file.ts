// Files that an update back end wants in credentials.zip; some hold secrets, so all are kept sealed.

import { Problem } from '../problem.ts';
import { accountFilesOf } from '../registry/account-files.ts';
import type { Account } from '../registry/tables.ts';
import { ownEntries } from './credentials-zip.ts';
import type { Provisioning } from './provisioning.ts';

const largest = 1024 * 1024;

/** What a file is called in the seal. */
export const accountFileContext = (account_id: string, entry: string): string => `account-file:${account_id}:${entry}`;

/** Keeps a file for credentials.zip under its entry name. Throws `invalid_request`. */
export async function setAccountFile(
  { registry, seal }: Provisioning,
  account: Account,
  entry: string,
  content: Uint8Array,
): Promise<void> {
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/.test(entry)) {
    throw new Problem(
      'invalid_request',
      `${JSON.stringify(entry)} is no entry name of credentials.zip.`,
      'Entry names are flat: letters, digits, ".", "_" and "-", such as treehub.json.',
    );
  }
  if ((ownEntries as readonly string[]).includes(entry)) {
    throw new Problem('invalid_request', `${entry} is written by provisioning itself and cannot be set.`);
  }
  if (content.length > largest) throw new Problem('body_too_large', `${entry} is larger than 1 MiB.`);
  const written = entry.endsWith('.url') ? Buffer.from(trimUrl(content)) : content;
  const sealed_content = seal.seal(written, accountFileContext(account.id, entry));
  await registry.write('setAccountFile', { account_id: account.id, entry, sealed_content });
}

/** The files of an account, opened, by entry name. */
export async function openAccountFiles(
  { registry, seal }: Provisioning,
  account: Account,
): Promise<Map<string, Uint8Array>> {
  const files = await accountFilesOf(registry.read, account.id);
  return new Map(
    files.map(({ entry, sealed_content }) => [
      entry,
      seal.open(sealed_content, accountFileContext(account.id, entry)).reveal(),
    ]),
  );
}

/** Clients concatenate paths to what stands in an URL file. */
function trimUrl(content: Uint8Array): string {
  return Buffer.from(content).toString('utf8').trim().replace(/\/+$/, '');
}
