// The private key in a PKCS#12 as the server makes them, read in this process: openssl would take a process for each.

import { createDecipheriv, createPrivateKey, pbkdf2Sync, type KeyObject } from 'node:crypto';

/** PBKDF2's OID and, ten octets further, its salt; AES-256-CBC's OID, which its IV follows (RFC 8018 §6.2). */
const pbkdf2 = Buffer.from('06092a864886f70d01050c', 'hex');
const aes256Cbc = Buffer.from('060960864801650304012a', 'hex');
const saltSize = 16;
const ivSize = 16;

/** Decrypts the key of a PKCS#12 with an empty password, one iteration, PBKDF2 with HMAC-SHA256 and AES-256-CBC. */
export function keyInPkcs12(pkcs12: Buffer): KeyObject {
  const salt = after(pkcs12, pbkdf2, 4, saltSize);
  const iv = after(pkcs12, aes256Cbc, 2, ivSize);
  const encryptedAt = pkcs12.lastIndexOf(aes256Cbc) + aes256Cbc.length + 2 + ivSize;
  const { start, end } = octetString(pkcs12, encryptedAt);
  const decipher = createDecipheriv('aes-256-cbc', pbkdf2Sync('', salt, 1, 32, 'sha256'), iv);
  const key = Buffer.concat([decipher.update(pkcs12.subarray(start, end)), decipher.final()]);
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
}

function after(der: Buffer, oid: Buffer, gap: number, size: number): Buffer {
  const at = der.lastIndexOf(oid) + oid.length + gap;
  return der.subarray(at, at + size);
}

/** Where the content of an OCTET STRING lies whose length is written in up to three octets. */
function octetString(der: Buffer, at: number): { start: number; end: number } {
  const first = der[at + 1]!;
  if (der[at] !== 4 || first > 0x82) throw new Error('This PKCS#12 has another form.');
  const more = first < 0x80 ? 0 : first - 0x80;
  const start = at + 2 + more;
  return { start, end: start + (more === 0 ? first : der.readUIntBE(at + 2, more)) };
}
