// TPM2_MakeCredential without a TPM (TPM 2.0 Library, Part 1 §24): a secret that one TPM gives back, for one of its keys.

import {
  constants,
  createCipheriv,
  createECDH,
  createHash,
  createHmac,
  publicEncrypt,
  randomBytes,
  type ECDH,
} from 'node:crypto';

import type { PublicKey } from '../../x509/key.ts';

/** A credential in its two parts, and as the file that `tpm2_activatecredential -i` reads. */
export interface Credential {
  /** TPM2B_ID_OBJECT. */
  readonly blob: Buffer;
  /** TPM2B_ENCRYPTED_SECRET. */
  readonly secret: Buffer;
  /** Both, under the header of tpm2-tools. */
  readonly file: Buffer;
}

/** What the template of an endorsement key says of its nameAlg and its symmetric cipher. */
interface Template {
  readonly digest: 'sha256' | 'sha384';
  readonly cipher: 'aes-128-cfb' | 'aes-256-cfb';
  /** In octets. */
  readonly digestSize: number;
  readonly keySize: number;
}

const sha256: Template = { digest: 'sha256', cipher: 'aes-128-cfb', digestSize: 32, keySize: 16 };
const sha384: Template = { digest: 'sha384', cipher: 'aes-256-cfb', digestSize: 48, keySize: 32 };

/** tpm2-tools: a magic number and a version before the two parts. */
const fileHeader = Buffer.from('badcc0de00000001', 'hex');

/**
 * The template by the endorsement key (TCG EK Credential Profile 2.5, §B.3, §B.4): L-1, L-2, H-1 and H-2 with RSA-2048
 * and P-256, H-3 and H-6 with P-384 and RSA-3072. Null for other keys, for which no credential can be made here.
 */
function templateOf({ kind, bits }: PublicKey): Template | null {
  if (kind === 'p256' || (kind === 'rsa' && bits === 2_048)) return sha256;
  return kind === 'p384' || (kind === 'rsa' && bits === 3_072) ? sha384 : null;
}

/** Whether a credential can be made for this endorsement key. */
export function isEndorsementKey(key: PublicKey): boolean {
  return templateOf(key) !== null;
}

/**
 * Makes the credential that gives `secret` (at most 32 octets) to the TPM that holds the private half of `endorsementKey`,
 * while a key of this Name is loaded in it. Throws RangeError for a key that `isEndorsementKey` does not know.
 */
export function makeCredential(endorsementKey: PublicKey, name: Buffer, secret: Buffer): Credential {
  const template = templateOf(endorsementKey);
  if (template === null) throw new RangeError(`No endorsement key is ${endorsementKey.kind}.`);
  const { seed, encrypted } =
    endorsementKey.kind === 'rsa'
      ? seedForRsa(endorsementKey, template)
      : seedForEcc(endorsementKey, template, endorsementKey.kind === 'p256' ? 'prime256v1' : 'secp384r1');
  // §24.4: the symmetric key is bound to the Name, the HMAC covers it.
  const key = deriveFromKey(template, seed, 'STORAGE', name, template.keySize);
  const cipher = createCipheriv(template.cipher, key, Buffer.alloc(16));
  const identity = Buffer.concat([cipher.update(sized(secret)), cipher.final()]);
  const integrityKey = deriveFromKey(template, seed, 'INTEGRITY', Buffer.alloc(0), template.digestSize);
  const integrity = createHmac(template.digest, integrityKey).update(identity).update(name).digest();
  for (const wiped of [seed, key, integrityKey]) wiped.fill(0);
  const blob = sized(Buffer.concat([sized(integrity), identity]));
  const encryptedSecret = sized(encrypted);
  return { blob, secret: encryptedSecret, file: Buffer.concat([fileHeader, blob, encryptedSecret]) };
}

/** Part 1 §B.10.4: a random seed, by OAEP under the nameAlg. */
function seedForRsa(endorsementKey: PublicKey, { digest, digestSize }: Template): { seed: Buffer; encrypted: Buffer } {
  const seed = randomBytes(digestSize);
  const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: digest, oaepLabel: Buffer.from('IDENTITY\0') };
  return { seed, encrypted: publicEncrypt({ key: endorsementKey.toKeyObject(), ...oaep }, seed) };
}

/** Part 1 §C.6.4: the seed out of a key agreement with a key of this one use, whose public point is what is sent. */
function seedForEcc(
  endorsementKey: PublicKey,
  template: Template,
  curve: 'prime256v1' | 'secp384r1',
): { seed: Buffer; encrypted: Buffer } {
  const theirs = pointOf(endorsementKey);
  const ephemeral = createECDH(curve);
  ephemeral.generateKeys();
  const ours = coordinatesOf(ephemeral.getPublicKey());
  const shared = sharedOf(ephemeral, theirs);
  // §11.4.10.3, KDFe: one block of the digest is what is needed.
  const seed = createHash(template.digest)
    .update(Buffer.of(0, 0, 0, 1))
    .update(shared)
    .update('IDENTITY\0')
    .update(ours.x)
    .update(coordinatesOf(theirs).x)
    .digest();
  shared.fill(0);
  return { seed, encrypted: Buffer.concat([sized(ours.x), sized(ours.y)]) };
}

function sharedOf(ephemeral: ECDH, theirs: Buffer): Buffer {
  return ephemeral.computeSecret(theirs);
}

/** The uncompressed point of a key on a curve. */
function pointOf(key: PublicKey): Buffer {
  const { x, y } = key.toKeyObject().export({ format: 'jwk' });
  return Buffer.concat([Buffer.of(0x04), Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')]);
}

function coordinatesOf(point: Buffer): { x: Buffer; y: Buffer } {
  const octets = (point.length - 1) / 2;
  return { x: point.subarray(1, 1 + octets), y: point.subarray(1 + octets) };
}

/** Part 1 §11.4.10.2, KDFa; never more than one block of the digest is asked of it here. */
function deriveFromKey(template: Template, key: Buffer, label: string, context: Buffer, octets: number): Buffer {
  const bits = Buffer.alloc(4);
  bits.writeUInt32BE(octets * 8);
  const block = createHmac(template.digest, key)
    .update(Buffer.of(0, 0, 0, 1))
    .update(`${label}\0`)
    .update(context)
    .update(bits)
    .digest();
  return block.subarray(0, octets);
}

/** A TPM2B: its length in two octets before it. */
function sized(octets: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(octets.length);
  return Buffer.concat([length, octets]);
}
