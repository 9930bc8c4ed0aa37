// A server's access to an OpenBao of the test's own: its settings, and the keys that it has made there.

import { writeFile } from 'node:fs/promises';

import type { ConfigOptions } from '../../src/config.ts';
import type { OpenBao } from './openbao.ts';

/** What a server is given to keep its keys there, by a token in a file. */
export interface VaultAccess {
  /** The settings that turn the custodian on. */
  readonly options: ConfigOptions;
  /** The names of the keys that are there. */
  keys(): Promise<string[]>;
  /** Revokes the token: nothing is let in any more. */
  revoke(): Promise<void>;
  /** Puts a new token into the file. */
  renew(): Promise<void>;
}

/** Turns transit on, and makes a token for it. */
export async function vaultAccess(bao: OpenBao): Promise<VaultAccess> {
  await bao.transit();
  const file = bao.file('token');
  let token = '';
  const renew = async (): Promise<void> => {
    token = await bao.token();
    await writeFile(file, token, { mode: 0o600 });
  };
  await renew();
  return {
    options: { 'vault.address': bao.address, ...(bao.ca && { 'vault.ca': bao.ca }), 'vault.token_file': file },
    keys: () => bao.keys(),
    revoke: () => bao.revoke(token),
    renew,
  };
}
