// The custodian `vault` over an OpenBao server of the test's own.

import { randomBytes, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';

import type { Custodian, CustodyKey, KeyType } from '../../src/custody/custodian.ts';
import { createVaultCustodian, type VaultOptions } from '../../src/custody/vault.ts';
import type { OpenBao } from './openbao.ts';

let variables = 0;

/** A login by a token that is in a variable of its own; by the root token unless said. */
export function byToken(token: string): VaultOptions['login'] {
  variables += 1;
  const variable = `FLEETROOT_TEST_TOKEN_${variables}`;
  process.env[variable] = token;
  return { by: 'token', variable };
}

/** A custodian over this server; by the root token unless said otherwise. */
export function vaultOf(bao: OpenBao, options: Partial<VaultOptions> = {}): Custodian {
  return createVaultCustodian({
    address: bao.address,
    ca: bao.ca,
    namespace: null,
    mount: 'transit',
    keyPrefix: 'fleetroot-',
    connections: 16,
    timeout: 20_000,
    login: options.login ?? byToken(bao.rootToken),
    ...options,
  });
}

/** A new key and its record. */
export async function newKey(
  custodian: Custodian,
  { keyType = 'p256', exportable = false }: { keyType?: KeyType; exportable?: boolean } = {},
): Promise<CustodyKey> {
  const request = { id: randomUUID(), keyType, exportable };
  return { ...request, ...(await custodian.create(request)) };
}

/** A signature over something; the custodian itself holds it against the key's record. */
export function signSomething(custodian: Custodian, key: CustodyKey): Promise<Buffer> {
  return custodian.sign(key, key.keyType.startsWith('rsa') ? 'rsa-sha256' : 'ecdsa-sha256', randomBytes(40));
}

/** Writes a secret into a file as it should lie there. */
export async function writeSecret(file: string, secret: string): Promise<string> {
  await writeFile(file, `${secret}\n`, { mode: 0o600 });
  return file;
}
