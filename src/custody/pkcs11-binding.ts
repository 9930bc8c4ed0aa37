// What joins a key's record to the key on the token.

import { createHash } from 'node:crypto';

import type { StoredKey } from './pkcs11-messages.ts';

/**
 * A digest of the key's name, its type, the token it was made on, and its public key (SPKI, DER): a record that was
 * changed, or a key that was replaced on the token, does not fit any more. The token is not looked for by its serial
 * number, so that a back-up restored to another HSM serves.
 */
export function bindingOf({ id, keyType, token }: Omit<StoredKey, 'binding'>, publicKey: Uint8Array): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([id, keyType, token]))
    .update(publicKey)
    .digest();
}
