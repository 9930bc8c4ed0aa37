// PKCS#12 as a device gets it: its key, its certificate, and the CAs of both sides, under an empty password.

import { createCipheriv, createHmac, hash, pbkdf2Sync, randomBytes, randomFillSync } from 'node:crypto';

import { explicit, integer, nullValue, octetString, oid, sequence, set } from './der-write.ts';

const data = oid('1.2.840.113549.1.7.1');
const shroudedKeyBag = oid('1.2.840.113549.1.12.10.1.2');
const certificateBag = oid('1.2.840.113549.1.12.10.1.3');
const x509Certificate = oid('1.2.840.113549.1.9.22.1');
const localKeyId = oid('1.2.840.113549.1.9.21');
const pbes2 = oid('1.2.840.113549.1.5.13');
const pbkdf2 = oid('1.2.840.113549.1.5.12');
const hmacWithSha256 = sequence(oid('1.2.840.113549.2.9'), nullValue());
const sha256 = sequence(oid('2.16.840.1.101.3.4.2.1'), nullValue());
const aes256Cbc = oid('2.16.840.1.101.3.4.1.42');

const version3 = integer(3);
const oneIteration = integer(1);

/** Pairs the key with its certificate (RFC 7292 §4.2). There is one pair in a file, so its value need not tell more. */
const pairing = set(sequence(localKeyId, set(octetString(Buffer.of(1)))));

const saltSize = 16;
const ivSize = 16;
const cipherBlock = 16;
const digestSize = 32;

/**
 * Everybody knows the password, so that the keys derived from it are no secret, whatever the salts: these are drawn, and
 * the keys derived, once a process and not for every file. Of PBES2 the password is UTF-8, an empty one no octets.
 */
const encryptionSalt = randomBytes(saltSize);
const encryptionKey = pbkdf2Sync('', encryptionSalt, 1, 32, 'sha256');
const macSalt = randomBytes(saltSize);
const macKey = deriveMacKey(macSalt);

/** Ends in the salt. `iterations` is absent: it is one, its DEFAULT (RFC 7292 §4). */
const macTemplate = sequence(sequence(sha256, octetString(Buffer.alloc(digestSize))), octetString(macSalt));
const macAt = macTemplate.length - octetString(macSalt).length - digestSize;

/**
 * A PKCS#12 file (RFC 7292) with an empty password, in the one form that every client of the gateway reads:
 * an AES-256 shrouded key bag (PBES2, PBKDF2 with HMAC-SHA256), certificates in the clear, a SHA-256 MAC, one iteration.
 * An empty password protects nothing and more iterations would protect it no better: the file is as secret as the key.
 * It is a buffer of its own, which the caller wipes when it has been sent.
 *
 * `privateKey` is PKCS#8, `certificate` the one of that key and `cas` the further ones, all DER, written in this order.
 */
export function encodePkcs12({
  privateKey,
  certificate,
  cas,
}: {
  privateKey: Buffer;
  certificate: Buffer;
  cas: readonly Buffer[];
}): Buffer {
  const key = keyTemplate(privateKey.length);
  const certificates = content(sequence(bag(certificate, pairing), bagsOf(cas)));
  const safe = sequence(certificates, key.der);
  const template = sequence(version3, content(safe), macTemplate);

  const file = Buffer.alloc(template.length);
  template.copy(file);
  const safeEnd = file.length - macTemplate.length;
  const keyStart = safeEnd - key.der.length;
  const part = (start: number, size: number): Buffer => file.subarray(start, start + size);

  const iv = part(keyStart + key.ivAt, ivSize);
  drawInto(iv);
  encrypt(privateKey, iv, part(keyStart + key.encryptedAt, key.encryptedSize));

  const mac = createHmac('sha256', macKey)
    .update(part(safeEnd - safe.length, safe.length))
    .digest();
  mac.copy(file, safeEnd + macAt);
  return file;
}

const randomPool = Buffer.alloc(4096);
let randomUsed = randomPool.length;

/** From octets drawn many at a time: drawn one by one they would cost as much as encrypting. */
function drawInto(place: Buffer): void {
  if (randomUsed + place.length > randomPool.length) {
    randomFillSync(randomPool);
    randomUsed = 0;
  }
  randomUsed += randomPool.copy(place, 0, randomUsed, randomUsed + place.length);
}

/** ContentInfo of type data (RFC 7292 §4). */
function content(der: Buffer): Buffer {
  return sequence(data, explicit(0, octetString(der)));
}

/** SafeBag with a CertBag (RFC 7292 §4.2.3). */
function bag(certificate: Buffer, ...attributes: Buffer[]): Buffer {
  return sequence(
    certificateBag,
    explicit(0, sequence(x509Certificate, explicit(0, octetString(certificate)))),
    ...attributes,
  );
}

const encodedBags = new WeakMap<readonly Buffer[], Buffer>();

/** The bags of further certificates, end to end: an account's devices are given the same ones. */
function bagsOf(cas: readonly Buffer[]): Buffer {
  let bags = encodedBags.get(cas);
  if (bags === undefined) encodedBags.set(cas, (bags = Buffer.concat(cas.map((ca) => bag(ca)))));
  return bags;
}

/** The last ContentInfo: the key's bag, with zeros for IV and ciphertext, and where in it these go. */
interface KeyTemplate {
  der: Buffer;
  ivAt: number;
  encryptedAt: number;
  encryptedSize: number;
}

const keyTemplates = new Map<number, KeyTemplate>();

/** The template for a PKCS#8 of this size. Keys of one type have one size, RSA ones a few: there are never many. */
function keyTemplate(size: number): KeyTemplate {
  let template = keyTemplates.get(size);
  if (template === undefined) keyTemplates.set(size, (template = makeKeyTemplate(size)));
  return template;
}

/** EncryptedPrivateKeyInfo (RFC 5958 §3) by PBES2 (RFC 8018 §6.2) in a bag of RFC 7292 §4.2.2; PKCS #7 padding. */
function makeKeyTemplate(size: number): KeyTemplate {
  const encryptedSize = size - (size % cipherBlock) + cipherBlock;
  const encrypted = octetString(Buffer.alloc(encryptedSize));
  const cipher = sequence(aes256Cbc, octetString(Buffer.alloc(ivSize)));
  const derivation = sequence(octetString(encryptionSalt), oneIteration, hmacWithSha256);
  const algorithm = sequence(pbes2, sequence(sequence(pbkdf2, derivation), cipher));
  const der = content(sequence(sequence(shroudedKeyBag, explicit(0, sequence(algorithm, encrypted)), pairing)));
  const encryptedAt = der.length - pairing.length - encryptedSize;
  const ivAt = encryptedAt - (encrypted.length - encryptedSize) - ivSize;
  return { der, ivAt, encryptedAt, encryptedSize };
}

/** AES-256-CBC with PKCS #7 padding, into `place`. What everybody can decrypt is wiped elsewhere. */
function encrypt(privateKey: Buffer, iv: Buffer, place: Buffer): void {
  const cipher = createCipheriv('aes-256-cbc', encryptionKey, iv);
  const blocks = cipher.update(privateKey);
  const last = cipher.final();
  place.set(blocks);
  place.set(last, blocks.length);
  blocks.fill(0);
  last.fill(0);
}

/**
 * The MAC key by RFC 7292 appendix B.2: 32 octets are one digest, so its loops run once. What is hashed are blocks of 64
 * octets: the diversifier, 3 for a MAC key (B.3), the salt repeated, and the password repeated. That is a BMPString with
 * its terminator (B.1), so that an empty one is two zero octets, for Java, NSS and GnuTLS too; OpenSSL tries these after
 * no octets at all.
 */
function deriveMacKey(salt: Buffer): Buffer {
  const [diversifier, repeatedSalt, password] = [Buffer.alloc(64, 3), Buffer.alloc(64, salt), Buffer.alloc(64)];
  return hash('sha256', Buffer.concat([diversifier, repeatedSalt, password]), 'buffer');
}
