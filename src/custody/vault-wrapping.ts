// A private key wrapped so that only the vault's transit engine can take it in.

import { constants, createCipheriv, publicEncrypt, randomBytes } from 'node:crypto';

import type { Secret } from '../secret.ts';

/** The alternative initial value of AES Key Wrap with Padding (RFC 5649 §3). */
const initialValue = Buffer.from('A65959A6', 'hex');

/**
 * What transit's import takes: an AES-256 key of this moment under the engine's RSA key (OAEP with SHA-256, RFC 8017
 * §7.1), and the private key (PKCS#8) under that one (AES-KWP, RFC 5649). `wrappingKey` is PEM; throws where it is none.
 */
export function wrapForTransit(privateKey: Secret, wrappingKey: string): Buffer {
  const ephemeral = randomBytes(32);
  try {
    const wrap = createCipheriv('id-aes256-wrap-pad', ephemeral, initialValue);
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    return Buffer.concat([
      publicEncrypt({ key: wrappingKey, padding, oaepHash: 'sha256' }, ephemeral),
      wrap.update(privateKey.reveal()),
      wrap.final(),
    ]);
  } finally {
    ephemeral.fill(0);
  }
}
