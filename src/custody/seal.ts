// Secrets wrapped by the master key, so that they can lie in the registry whatever custodian holds the CAs' keys.

import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { Problem } from '../problem.ts';
import { Secret } from '../secret.ts';

/**
 * Seals and opens secrets. The context says what the secret is (`custody key <id>`) and is authenticated with it:
 * a sealed value that is copied into another row does not open there.
 */
export interface Seal {
  /** Gives an opaque value that only the same master key opens. `plain` is left as it is; wiping it is the caller's. */
  seal(plain: Uint8Array, context: string): Buffer;
  /** Throws Problem('custody_unavailable') where the value is damaged, was sealed for another context or by another key. */
  open(sealed: Uint8Array, context: string): Secret;
}

/** Octets of a master key. */
export const masterKeySize = 32;

const keySize = 32;
const nonceSize = 12;
const tagSize = 16;

// A sealed value: version ‖ nonce ‖ wrapped data key ‖ its tag ‖ ciphertext ‖ its tag.
const version = Buffer.of(1);
const bodyStart = version.length + nonceSize + keySize + tagSize;

// A data key encrypts one value only, so a constant nonce never meets the same key twice (NIST SP 800-38D §8.2).
const onlyNonce = Buffer.alloc(nonceSize);

/**
 * A seal under this master key (32 octets): AES-256-GCM with a random data key for each value, itself wrapped by the
 * master key under a random nonce. Good for 2^32 values (NIST SP 800-38D §8.3).
 */
export function createSeal(masterKey: Secret): Seal {
  if (masterKey.reveal().length !== masterKeySize) throw new TypeError(`a master key has ${masterKeySize} octets`);
  const wrappingKey = createSecretKey(masterKey.reveal());

  return {
    seal(plain, context) {
      const dataKey = randomBytes(keySize);
      const nonce = randomBytes(nonceSize);
      const wrapped = encrypt(wrappingKey, nonce, context, dataKey);
      const body = encrypt(dataKey, onlyNonce, context, plain);
      dataKey.fill(0);
      return Buffer.concat([version, nonce, wrapped, body]);
    },

    open(sealed, context) {
      let dataKey: Buffer | undefined;
      try {
        if (sealed.length < bodyStart + tagSize || sealed[0] !== version[0]) throw new RangeError('no sealed value');
        const nonce = sealed.subarray(version.length, version.length + nonceSize);
        dataKey = decrypt(wrappingKey, nonce, context, sealed.subarray(version.length + nonceSize, bodyStart));
        return new Secret(decrypt(dataKey, onlyNonce, context, sealed.subarray(bodyStart)));
      } catch (cause) {
        throw new Problem(
          'custody_unavailable',
          `The sealed ${context} does not open: it is damaged, or was sealed under another master key.`,
          'Start the server with the master key and the registry that belong together.',
          { cause },
        );
      } finally {
        dataKey?.fill(0);
      }
    },
  };
}

function encrypt(key: KeyObject | Buffer, nonce: Uint8Array, context: string, plain: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagSize });
  cipher.setAAD(Buffer.from(context, 'utf8'));
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** GCM is a stream mode: `update` gives the whole text, which counts only once `final` has checked the tag. */
function decrypt(key: KeyObject | Buffer, nonce: Uint8Array, context: string, sealed: Uint8Array): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagSize });
  decipher.setAAD(Buffer.from(context, 'utf8'));
  decipher.setAuthTag(sealed.subarray(sealed.length - tagSize));
  const plain = decipher.update(sealed.subarray(0, sealed.length - tagSize));
  try {
    decipher.final();
  } catch (cause) {
    plain.fill(0);
    throw cause;
  }
  return plain;
}
