// The owner of a production account: a key that no server has, and openssl on a computer of its own.

import { createPublicKey, hash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Fleet } from './fleet.ts';
import type { Outcome } from './process.ts';
import type { Credentials, Pki } from './pki.ts';

/** What an owner key may be. */
export type OwnerKeyType = 'p256' | 'p384' | 'ed25519';

/** Somebody who signs whom an account trusts. */
export class Owner {
  readonly #pki: Pki;
  readonly keyType: OwnerKeyType;
  readonly key: string;
  /** PEM, the public half or a certificate. */
  readonly publicKey: string;

  private constructor(pki: Pki, keyType: OwnerKeyType, key: string, publicKey: string) {
    this.#pki = pki;
    this.keyType = keyType;
    this.key = key;
    this.publicKey = publicKey;
  }

  static async open(pki: Pki, keyType: OwnerKeyType = 'p256'): Promise<Owner> {
    const [key, publicKey] = [await pki.newKey(keyType), pki.file('.pub')];
    await pki.openssl('pkey', '-in', key, '-pubout', '-out', publicKey);
    return new Owner(pki, keyType, key, publicKey);
  }

  /** One whose P-256 key has a certificate. */
  static certified(pki: Pki, { key, certificate }: Credentials): Owner {
    return new Owner(pki, 'p256', key, certificate);
  }

  /** Signs a file as openssl does; gives the file of the signature. */
  async sign(file: string): Promise<string> {
    const signature = this.#pki.file('.sig');
    if (this.keyType === 'ed25519') {
      await this.#pki.openssl('pkeyutl', '-sign', '-rawin', '-inkey', this.key, '-in', file, '-out', signature);
    } else {
      const digest = this.keyType === 'p256' ? '-sha256' : '-sha384';
      await this.#pki.openssl('dgst', digest, '-sign', this.key, '-out', signature, file);
    }
    return signature;
  }

  /** `fleet-root changes`: the document that is to be signed. */
  async draw(fleet: Fleet): Promise<string> {
    const file = this.#pki.file('.json');
    const drawn = await fleet.fleetRoot('changes', '-o', file);
    if (drawn.file !== file) throw new Error('there is nothing to sign');
    return file;
  }

  /** `fleet-root apply` of a document, signed by this owner. */
  async apply(fleet: Fleet, document: string): Promise<Omit<Outcome, 'bytes'>> {
    return fleet.fleetroot.command('fleet-root', 'apply', fleet.account, document, await this.sign(document));
  }

  /** Draws, signs and applies what is wished; gives the document. */
  async consent(fleet: Fleet): Promise<string> {
    const document = await this.draw(fleet);
    const { code, stderr } = await this.apply(fleet, document);
    if (code !== 0) throw new Error(stderr);
    return document;
  }
}

/** SHA-256 (hex) of the SubjectPublicKeyInfo in a PEM file, of a key or a certificate. */
export async function spkiSha256(file: string): Promise<string> {
  const pem = await readFile(file, 'utf8');
  const key = pem.includes('CERTIFICATE') ? new X509Certificate(pem).publicKey : createPublicKey(pem);
  return hash('sha256', key.export({ format: 'der', type: 'spki' }), 'hex');
}
