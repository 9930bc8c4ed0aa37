// The custodian of OpenBao and HashiCorp Vault: keys made and used inside the vault, by its transit engine.

import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { Secret } from '../secret.ts';
import { CustodyProblem, fits } from './custodian.ts';
import type { Custodian, KeyRequest, KeyType, NewKey } from './custodian.ts';
import { keyTypeOf } from './key-type.ts';
import { complaintOf, faultOf, member, nonsense, succeeded } from './vault-answer.ts';
import {
  isBy,
  mixedUp,
  nameOf,
  privateKeyIn,
  publicHalfOf,
  readPublicKey,
  recall,
  remember,
  signatureIn,
} from './vault-key.ts';
import type { VaultLogin } from './vault-login.ts';
import { VaultSession } from './vault-session.ts';
import { VaultTransport } from './vault-transport.ts';
import type { VaultAnswer, VaultRequest } from './vault-transport.ts';
import { wrapForTransit } from './vault-wrapping.ts';

/** Where the vault is, how to log in, and what of it is ours. */
export interface VaultOptions {
  /** `https://HOST:PORT`; `http://` only to this machine itself. */
  address: string;
  /** The file (PEM) with the only CAs that the vault's certificate may be from; null for those of the system. */
  ca: string | null;
  namespace: string | null;
  /** Where the transit engine is mounted. */
  mount: string;
  /** What the names of our keys begin with. */
  keyPrefix: string;
  login: VaultLogin;
  /** Connections at the most. */
  connections: number;
  /** For each method of the custodian, whatever it waits for; in milliseconds. */
  timeout: number;
}

const transitTypes: Record<KeyType, string> = {
  p256: 'ecdsa-p256',
  p384: 'ecdsa-p384',
  rsa2048: 'rsa-2048',
  rsa3072: 'rsa-3072',
  rsa4096: 'rsa-4096',
};

/** A key as the vault has it. */
interface TransitKey {
  type: unknown;
  exportable: unknown;
  latestVersion: unknown;
  publicKeyOf(version: number): Buffer;
}

/**
 * The custodian named `vault`. What it remembers of a key is its name in the transit engine and its version there.
 * Nothing is asked of the vault before the first call, so that a server starts while its vault is away; but a CA file
 * that cannot be read stops it: throws CustodyProblem `unavailable`.
 */
export function createVaultCustodian(options: VaultOptions): Custodian {
  const { address, namespace, connections, timeout, mount, keyPrefix } = options;
  const ca = options.ca === null ? null : readCa(options.ca);
  const transport = new VaultTransport({ address, ca, namespace, connections });
  const session = new VaultSession(transport, options.login, timeout);

  /** One call of transit; `limit` bounds all calls of one method together. */
  const ask = (method: VaultRequest['method'], path: string, limit: AbortSignal, body?: object): Promise<VaultAnswer> =>
    session.ask({ method, path: `${mount}/${path}`, repeatable: true, ...(body && { body }) }, limit);

  async function read(name: string, limit: AbortSignal): Promise<TransitKey> {
    const doing = `read the key ${name}`;
    const answer = await ask('GET', `keys/${name}`, limit);
    if (hasNoKey(answer)) throw noSuchKey(name, address);
    if (!succeeded(answer)) throw faultOf(answer, address, doing);
    return {
      type: member(answer, 'data', 'type'),
      exportable: member(answer, 'data', 'exportable'),
      latestVersion: member(answer, 'data', 'latest_version'),
      publicKeyOf(version) {
        const pem = member(answer, 'data', 'keys', String(version), 'public_key');
        const key = typeof pem === 'string' ? readPublicKey(pem) : null;
        if (key === null) throw nonsense(address, doing);
        return key.export({ type: 'spki', format: 'der' });
      },
    };
  }

  /** The key that is there under this name, if it is the one asked for and nobody has changed it. */
  async function found(name: string, { keyType, exportable }: KeyRequest, limit: AbortSignal): Promise<NewKey> {
    const key = await read(name, limit);
    if (key.type !== transitTypes[keyType] || key.exportable !== exportable || key.latestVersion !== 1) {
      throw new CustodyProblem(
        'corrupted',
        `The vault at ${address} has another key already under the name ${name}.`,
        'Give each server a vault.key_prefix, or a mount, of its own.',
      );
    }
    return { publicKey: key.publicKeyOf(1), remembered: remember({ name, version: 1 }) };
  }

  /** Whether the key that is there is this one, as it was taken in to be given out, or not to be, other than asked now. */
  async function isOtherwise(
    name: string,
    { keyType, exportable }: KeyRequest,
    publicKey: Buffer,
    limit: AbortSignal,
  ): Promise<boolean> {
    const key = await read(name, limit).catch((error: unknown) => {
      if (error instanceof CustodyProblem && error.fault === 'no_such_key') return null;
      throw error;
    });
    if (key?.type !== transitTypes[keyType] || key.latestVersion !== 1) return false;
    return key.exportable === !exportable && key.publicKeyOf(1).equals(publicKey);
  }

  async function destroy(name: string, limit: AbortSignal): Promise<void> {
    for (const [method, path, body] of [
      ['POST', `keys/${name}/config`, { deletion_allowed: true }],
      ['DELETE', `keys/${name}`, undefined],
    ] as const) {
      const answer = await ask(method, path, limit, body);
      if (succeeded(answer)) continue;
      if (answer.status !== 400) throw faultOf(answer, address, `destroy the key ${name}`);
      // Both say so in words alone where there is no such key; that it is gone shows by asking for it.
      if (hasNoKey(await ask('GET', `keys/${name}`, limit))) return;
      throw faultOf(answer, address, `destroy the key ${name}`);
    }
  }

  return {
    name: 'vault',

    async create(request) {
      const limit = AbortSignal.timeout(timeout);
      const name = nameOf(keyPrefix, request.id);
      const { keyType, exportable } = request;
      const body = { type: transitTypes[keyType], exportable, allow_plaintext_backup: false };
      // Where there is a key of that name the vault leaves it as it is, so that a repeat finds the one it has made.
      const answer = await ask('POST', `keys/${name}`, limit, body);
      if (!succeeded(answer)) throw faultOf(answer, address, `make the key ${name}`);
      return found(name, request, limit);
    },

    async import(request, privateKey) {
      const limit = AbortSignal.timeout(timeout);
      const name = nameOf(keyPrefix, request.id);
      const publicKey = publicHalfOf(privateKey, request.keyType);
      const doing = `take in the key ${name}`;

      const wrapping = await ask('GET', 'wrapping_key', limit);
      if (!succeeded(wrapping)) throw faultOf(wrapping, address, doing);
      const wrappingKey = member(wrapping, 'data', 'public_key');
      if (typeof wrappingKey !== 'string' || readPublicKey(wrappingKey) === null) throw nonsense(address, doing);
      const body = {
        type: transitTypes[request.keyType],
        hash_function: 'SHA256',
        ciphertext: wrapForTransit(privateKey, wrappingKey).toString('base64'),
        exportable: request.exportable,
        allow_plaintext_backup: false,
        allow_rotation: false,
      };
      const takeIn = async (): Promise<VaultAnswer> => {
        const answer = await ask('POST', `keys/${name}/import`, limit, body);
        // Refused with 400 or 500 where a key of the name is there: perhaps this one, from a call whose answer was lost.
        if (succeeded(answer) || answer.status === 400 || answer.status === 500) return answer;
        throw faultOf(answer, address, doing);
      };
      let answer = await takeIn();
      if (!succeeded(answer) && (await isOtherwise(name, request, publicKey, limit))) {
        // Nothing is lost: the private key is in our hands.
        await destroy(name, limit);
        answer = await takeIn();
      }
      const made = await found(name, request, limit).catch((error: unknown) => {
        const nothing = error instanceof CustodyProblem && error.fault === 'no_such_key';
        throw nothing && !succeeded(answer) ? faultOf(answer, address, doing) : error;
      });
      if (made.publicKey.equals(publicKey)) return made;
      if (succeeded(answer)) await destroy(name, limit);
      throw new CustodyProblem('corrupted', `The vault at ${address} has another key under ${name} than it was given.`);
    },

    async publicKey(key) {
      const { name, version } = recall(key);
      const there = await read(name, AbortSignal.timeout(timeout));
      if (there.type !== transitTypes[key.keyType]) throw mixedUp(key);
      return there.publicKeyOf(version);
    },

    async sign(key, algorithm, data) {
      if (!fits(key.keyType, algorithm)) throw new TypeError(`a ${key.keyType} key makes no ${algorithm} signature`);
      const { name, version } = recall(key);
      const [scheme, hash] = algorithm.split('-') as ['ecdsa' | 'rsa', 'sha256' | 'sha384'];
      // The digest goes there, not what is signed: it may be long, and is nothing to the vault.
      const answer = await ask('POST', `sign/${name}`, AbortSignal.timeout(timeout), {
        input: createHash(hash).update(data).digest('base64'),
        prehashed: true,
        hash_algorithm: hash === 'sha256' ? 'sha2-256' : 'sha2-384',
        key_version: version,
        ...(scheme === 'ecdsa' ? { marshaling_algorithm: 'asn1' } : { signature_algorithm: 'pkcs1v15' }),
      });
      if (answer.status === 400 && /key not found/.test(complaintOf(answer))) throw noSuchKey(name, address);
      if (!succeeded(answer)) throw faultOf(answer, address, `sign with the key ${name}`);
      const signature = signatureIn(answer, version);
      if (signature === null) throw nonsense(address, `sign with the key ${name}`);
      if (!isBy(key, hash, data, signature)) {
        throw new CustodyProblem(
          'corrupted',
          `The vault at ${address} signed with another key than that of the record ${key.id}.`,
          `Find out who has replaced the key ${name}; what it signs now, nobody who trusts the old one takes.`,
        );
      }
      return signature;
    },

    async export(key) {
      const { name, version } = recall(key);
      const refusal = new CustodyProblem('not_exportable', `Key ${key.id} was made never to be given out.`);
      if (!key.exportable) throw refusal;
      const answer = await ask('GET', `export/signing-key/${name}/${version}`, AbortSignal.timeout(timeout));
      if (hasNoKey(answer)) throw noSuchKey(name, address);
      if (answer.status === 400 && /not exportable/.test(complaintOf(answer))) throw refusal;
      if (!succeeded(answer)) throw faultOf(answer, address, `give out the key ${name}`);
      using body = new Secret(answer.body);
      const privateKey = privateKeyIn(body);
      if (privateKey === null || keyTypeOf(privateKey) !== key.keyType) throw nonsense(address, `give out ${name}`);
      return new Secret(privateKey.export({ type: 'pkcs8', format: 'der' }));
    },

    async destroy(key) {
      await destroy(recall(key).name, AbortSignal.timeout(timeout));
    },

    async check() {
      // A key that never is: to be told so takes a vault that is open, our login, the mount and the policy.
      const answer = await ask('GET', `keys/${keyPrefix}none`, AbortSignal.timeout(timeout));
      if (!hasNoKey(answer) && !succeeded(answer)) throw faultOf(answer, address, 'use its transit engine');
    },

    async [Symbol.asyncDispose]() {
      session[Symbol.dispose]();
      transport[Symbol.dispose]();
    },
  };
}

function readCa(file: string): Buffer {
  try {
    const pem = readFileSync(file);
    // Node takes a text without a certificate for no CA at all, and says nothing.
    void new X509Certificate(pem);
    return pem;
  } catch (cause) {
    throw new CustodyProblem(
      'unavailable',
      `The CA of the vault, ${file}, cannot be read: ${(cause as Error).message}.`,
      'vault.ca is a file with certificates in PEM.',
      { cause },
    );
  }
}

/** An engine that is not there answers 404 too, but says so. */
function hasNoKey(answer: VaultAnswer): boolean {
  return answer.status === 404 && complaintOf(answer) === '' && Array.isArray(member(answer, 'errors'));
}

function noSuchKey(name: string, address: string): CustodyProblem {
  return new CustodyProblem('no_such_key', `The vault at ${address} has no key ${name}.`);
}
