// Which of the contract's kinds a key is.

import type { KeyObject } from 'node:crypto';

import type { KeyType } from './custodian.ts';

/** The kind of a private or public key; null for one that no custodian holds. */
export function keyTypeOf(key: KeyObject): KeyType | null {
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'ec':
      if (namedCurve === 'prime256v1') return 'p256';
      return namedCurve === 'secp384r1' ? 'p384' : null;
    case 'rsa':
      if (modulusLength === 2048) return 'rsa2048';
      if (modulusLength === 3072) return 'rsa3072';
      return modulusLength === 4096 ? 'rsa4096' : null;
    default:
      return null;
  }
}
