// A private key as a file that people keep: encrypted under a passphrase when it is written, in any usual form when read.

import { createCipheriv, createPrivateKey, type KeyObject, pbkdf2, randomBytes } from 'node:crypto';

import { elements, readElement, tags } from './der.ts';
import { integer, nullValue, octetString, oid, sequence } from './der-write.ts';
import { pemBlocks } from './pem.ts';

/**
 * Guessing a passphrase costs so many HMACs each time: what OWASP asks of PBKDF2 with HMAC-SHA256, 300 times what Node's
 * own export does (OpenSSL's PKCS12_DEFAULT_ITER, 2,048). scrypt would cost an attacker more, but Java and NSS do not read
 * it in a PKCS#8 at all, and OpenSSL's reader refuses whatever needs more than 32 MiB.
 */
const rounds = 600_000;
const saltSize = 16;
const ivSize = 16;
const keySize = 32;

const pbes2 = oid('1.2.840.113549.1.5.13');
const pbkdf2Oid = oid('1.2.840.113549.1.5.12');
const hmacWithSha256 = sequence(oid('1.2.840.113549.2.9'), nullValue());
const aes256Cbc = oid('2.16.840.1.101.3.4.1.42');

/**
 * EncryptedPrivateKeyInfo (RFC 5958 §3, DER) of a private key (PKCS#8, DER): PBES2 (RFC 8018 §6.2) with PBKDF2,
 * HMAC-SHA256 and AES-256-CBC, which OpenSSL, Java, GnuTLS and NSS read as they come. The passphrase is its octets, UTF-8
 * where it is text (RFC 8018 §3). The derivation takes tenths of a second in a thread of the pool. Wiping what was given
 * is the caller's.
 */
export async function encryptPrivateKey(privateKey: Buffer, passphrase: Buffer): Promise<Buffer> {
  const salt = randomBytes(saltSize);
  const iv = randomBytes(ivSize);
  const key = await derive(passphrase, salt);
  try {
    const cipher = createCipheriv('aes-256-cbc', key, iv);
    const encrypted = Buffer.concat([cipher.update(privateKey), cipher.final()]);
    const derivation = sequence(pbkdf2Oid, sequence(octetString(salt), integer(rounds), hmacWithSha256));
    const algorithm = sequence(pbes2, sequence(derivation, sequence(aes256Cbc, octetString(iv))));
    return sequence(algorithm, octetString(encrypted));
  } finally {
    key.fill(0);
  }
}

function derive(passphrase: Buffer, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    pbkdf2(passphrase, salt, rounds, keySize, 'sha256', (error, key) => (error ? reject(error) : resolve(key)));
  });
}

/** Why a file gave no private key. */
export type UnreadableKey = 'no_key' | 'passphrase_missing' | 'passphrase_wrong';

/**
 * The private key (PKCS#8, DER, for the caller to wipe) in a file, PEM or DER: PKCS#8, encrypted or not, PKCS #1, SEC 1, or
 * the encrypted PEM of old. PEM may have other text around it; the first private key counts. The key of an encrypted one
 * is derived on this thread, for as long as the file wants it: nothing for a server.
 */
export function readPrivateKey(file: Buffer, passphrase: Buffer | null): Buffer | UnreadableKey {
  if (passphrase === null && isEncrypted(file)) return 'passphrase_missing';
  for (const read of readers(file, passphrase ?? undefined)) {
    try {
      return read().export({ type: 'pkcs8', format: 'der' });
    } catch {
      // Another form is tried.
    }
  }
  return passphrase !== null && isEncrypted(file) ? 'passphrase_wrong' : 'no_key';
}

/** Whether a file says of itself that it is an encrypted private key. */
export function isEncrypted(file: Buffer): boolean {
  const text = privateKeyPem(file);
  if (text !== null) return /^-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: *4,ENCRYPTED/m.test(text);
  try {
    // EncryptedPrivateKeyInfo is an algorithm and octets; every private key in the clear begins with a version.
    const [algorithm, encrypted, more] = elements(readElement(file).content);
    return algorithm?.tag === tags.sequence && encrypted?.tag === tags.octetString && more === undefined;
  } catch {
    return false;
  }
}

function readers(file: Buffer, passphrase: Buffer | undefined): (() => KeyObject)[] {
  const text = privateKeyPem(file);
  if (text !== null) return [() => createPrivateKey({ key: text, format: 'pem', passphrase })];
  return (['pkcs8', 'pkcs1', 'sec1'] as const).map(
    (type) => () => createPrivateKey({ key: file, format: 'der', type, passphrase }),
  );
}

/** The first private key in a PEM file, as it stands there; null where there is none. */
function privateKeyPem(file: Buffer): string | null {
  const text = file.toString('latin1');
  const block = pemBlocks(text).find(({ label }) => label.endsWith('PRIVATE KEY'));
  if (block === undefined) return null;
  const begin = text.indexOf(`-----BEGIN ${block.label}-----`);
  const end = `-----END ${block.label}-----`;
  const at = text.indexOf(end, begin);
  return at === -1 ? null : `${text.slice(begin, at)}${end}\n`;
}
