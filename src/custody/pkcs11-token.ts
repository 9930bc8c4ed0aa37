// An HSM's token as its process holds it: logged in, its sessions, and what is done with the keys on it.

import { createHash, randomBytes, verify } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Handle } from 'pkcs11js';

import type { KeyType, SigningAlgorithm } from './custodian.ts';
import { CustodyProblem } from './custodian.ts';
import { ecdsaSignature } from './ecdsa-signature.ts';
import { bindingOf } from './pkcs11-binding.ts';
import { asProblem, isStaleHandle, TokenGone } from './pkcs11-errors.ts';
import { logIn } from './pkcs11-login.ts';
import type { Login } from './pkcs11-login.ts';
import type { Call, MadeKey, Start, StoredKey } from './pkcs11-messages.ts';
import { loadModule } from './pkcs11-module.ts';
import type { Module } from './pkcs11-module.ts';
import { generation, importation, promises, publicKeyOf, publicParts, search, signing } from './pkcs11-objects.ts';
import { Sessions } from './pkcs11-sessions.ts';
import { Turns } from './pkcs11-turns.ts';

/** A private key on the token: found, and seen to be the one that was remembered. */
interface Found {
  handle: Handle;
  publicKey: Buffer;
  /** For which it was found; a record that says otherwise is looked at anew. */
  binding: Buffer;
}

/** CKS_RW_USER_FUNCTIONS (PKCS #11 v2.40 §3.3), which pkcs11js does not name. */
const readWriteByUser = 3;

/** Handles are small, and finding a key again costs a search of the token. */
const mostFound = 10_000;

/** Opens the token that `start` names. Throws CustodyProblem. */
export async function openToken(start: Start): Promise<Token> {
  const module = await loadModule(start.module);
  try {
    return new Token(module, await logIn(module, start), start.sessions);
  } catch (error) {
    throw asProblem(error, 'the opening of its token');
  }
}

/** Its methods throw CustodyProblem, a TokenGone where it is to be opened anew. */
export class Token {
  readonly #module: Module;
  readonly #login: Login;
  readonly #sessions: Sessions;
  readonly #turns = new Turns();
  readonly #mechanisms: ReadonlySet<number>;
  readonly #found = new LRUCache<string, Found>({ max: mostFound });
  /** What threads read and write just now: pkcs11js keeps the addresses alone, and the collector would take it away. */
  readonly #lent = new Set<unknown>();

  constructor(module: Module, login: Login, sessions: number) {
    const { p, cryptoki } = module;
    this.#module = module;
    this.#login = login;
    const flags = p.CKF_SERIAL_SESSION | p.CKF_RW_SESSION;
    this.#sessions = new Sessions(cryptoki, () => cryptoki.C_OpenSession(login.slot, flags), sessions);
    this.#mechanisms = new Set(cryptoki.C_GetMechanismList(login.slot));
  }

  /** `wanted` says whether anybody still waits for the answer: a key that nobody has asked for any more is not kept. */
  async answer(call: Call, wanted: () => boolean): Promise<Buffer | MadeKey | null> {
    const id = 'key' in call ? call.key.id : 'id' in call ? call.id : null;
    try {
      return await this.#answer(call, wanted);
    } catch (error) {
      throw asProblem(error, id === null ? 'a look at its token' : `the call "${call.kind}" for key ${id}`);
    }
  }

  async #answer(call: Call, wanted: () => boolean): Promise<Buffer | MadeKey | null> {
    switch (call.kind) {
      case 'check':
        this.#requireThere();
        return null;
      case 'create':
      case 'import':
        return this.#turns.toChange(async () => {
          const made = await (call.kind === 'create'
            ? this.#create(call.id, call.keyType)
            : this.#import(call.id, call.keyType, call.privateKey));
          if (!wanted()) this.#destroy(call.id);
          return made;
        });
      case 'publicKey':
        return this.#turns.toUse(async () => {
          // Of the key that is there now, not of the one that was.
          this.#found.delete(call.key.id);
          return this.#find(call.key).publicKey;
        });
      case 'sign':
        return this.#turns.toUse(() => this.#sign(call.key, call.algorithm, call.input, wanted));
      case 'destroy':
        return this.#turns.toChange(async () => {
          this.#destroy(call.key.id);
          return null;
        });
    }
  }

  close(): void {
    this.#module[Symbol.dispose]();
  }

  /** SoftHSM goes on answering searches, with nothing, when its token has gone; only C_GetTokenInfo tells. */
  #requireThere(): void {
    const { cryptoki } = this.#module;
    const { serialNumber } = cryptoki.C_GetTokenInfo(this.#login.slot);
    const { state } = cryptoki.C_GetSessionInfo(this.#login.session);
    if (serialNumber.trim() === this.#login.serial && state === readWriteByUser) return;
    throw new TokenGone(`The token with the serial number ${this.#login.serial} is not there, or not logged in to.`);
  }

  async #create(id: string, keyType: KeyType): Promise<MadeKey> {
    const { p, cryptoki } = this.#module;
    this.#requireNew(id);
    return this.#keepIfGood(id, keyType, true, () =>
      this.#sessions.use((session) => cryptoki.C_GenerateKeyPairAsync(session, ...generation(p, id, keyType))),
    );
  }

  async #import(id: string, keyType: KeyType, privateKey: Buffer): Promise<MadeKey> {
    const { p, cryptoki } = this.#module;
    const objects = importation(p, id, keyType, privateKey);
    try {
      this.#clearWay(id, keyType, objects.publicKey);
      return await this.#keepIfGood(id, keyType, false, async () => {
        // The public half first, by which an import that broke off is known again.
        cryptoki.C_CreateObject(this.#login.session, objects.publicObject);
        cryptoki.C_CreateObject(this.#login.session, objects.privateObject);
      });
    } finally {
      for (const secret of objects.secrets) secret.fill(0);
      privateKey.fill(0);
    }
  }

  #requireNew(id: string): void {
    if (!this.#hasAny(id)) return this.#requireThere();
    throw new CustodyProblem('corrupted', `The token has a key ${id} already, which is left as it is.`);
  }

  /** Takes away what an import of the same key left there before it could be recorded. */
  #clearWay(id: string, keyType: KeyType, publicKey: Buffer): void {
    if (!this.#hasAny(id)) return this.#requireThere();
    if (this.#readPublicKey(id, keyType).equals(publicKey)) return this.#destroy(id);
    throw new CustodyProblem('corrupted', `The token has another key ${id} already, which is left as it is.`);
  }

  #hasAny(id: string): boolean {
    return this.#handles(id, 'private').length + this.#handles(id, 'public').length > 0;
  }

  /** Puts a key on the token and looks at what came of it; takes it away again where that is not what was asked for. */
  async #keepIfGood(id: string, keyType: KeyType, made: boolean, put: () => Promise<unknown>): Promise<MadeKey> {
    try {
      await put();
      const handle = this.#only(id, 'private');
      this.#requirePromises(id, handle, made);
      const publicKey = this.#readPublicKey(id, keyType);
      await this.#requirePair(id, keyType, handle, publicKey);
      return { publicKey, token: this.#login.serial };
    } catch (error) {
      try {
        if (!(asProblem(error, '') instanceof TokenGone)) this.#destroy(id);
      } catch {
        // What went wrong first is what is told.
      }
      throw error;
    }
  }

  /** Never trusting the template: a token may take it and do otherwise. */
  #requirePromises(id: string, handle: Handle, made: boolean): void {
    for (const [type, promised] of promises(this.#module.p, made)) {
      if (this.#read(handle, type)[0] === Number(promised)) continue;
      throw new CustodyProblem(
        'denied',
        `The token made key ${id} otherwise than asked for: attribute 0x${type.toString(16)} is not ${promised}.`,
        'Only a token that keeps private keys sensitive and never extractable can be used.',
      );
    }
  }

  /** The two objects are joined by nothing but their ID: a signature shows that they are one key. */
  async #requirePair(id: string, keyType: KeyType, handle: Handle, publicKey: Buffer): Promise<void> {
    const data = randomBytes(32);
    const [algorithm, input]: [SigningAlgorithm, Buffer] = keyType.startsWith('rsa')
      ? ['rsa-sha256', data]
      : ['ecdsa-sha256', createHash('sha256').update(data).digest()];
    const signature = await this.#signWith(handle, keyType, algorithm, input);
    if (verify('sha256', data, { key: publicKey, format: 'der', type: 'spki' }, signature)) return;
    throw new CustodyProblem('corrupted', `The public key ${id} on the token is not that of its private key.`);
  }

  async #sign(key: StoredKey, algorithm: SigningAlgorithm, input: Buffer, wanted: () => boolean): Promise<Buffer> {
    try {
      return await this.#signWith(this.#find(key).handle, key.keyType, algorithm, input, wanted);
    } catch (error) {
      if (!isStaleHandle(error)) throw error;
      this.#found.delete(key.id);
      return this.#signWith(this.#find(key).handle, key.keyType, algorithm, input, wanted);
    }
  }

  async #signWith(
    handle: Handle,
    keyType: KeyType,
    algorithm: SigningAlgorithm,
    input: Buffer,
    wanted = () => true,
  ): Promise<Buffer> {
    const { p, cryptoki } = this.#module;
    const plan = signing(p, keyType, algorithm, input, this.#mechanisms);
    const signature = await this.#sessions.use(async (session) => {
      if (!wanted()) return Buffer.alloc(0);
      const lent = { input: plan.input, output: Buffer.alloc(plan.size) };
      this.#lent.add(lent);
      try {
        cryptoki.C_SignInit(session, plan.mechanism, handle);
        return await cryptoki.C_SignAsync(session, lent.input, lent.output);
      } finally {
        this.#lent.delete(lent);
      }
    });
    return keyType.startsWith('rsa') || signature.length === 0 ? signature : ecdsaSignature(signature);
  }

  #find(key: StoredKey): Found {
    const known = this.#found.get(key.id);
    if (known?.binding.equals(key.binding)) return known;
    const handle = this.#only(key.id, 'private');
    const publicKey = this.#readPublicKey(key.id, key.keyType);
    if (!bindingOf(key, publicKey).equals(key.binding)) {
      throw new CustodyProblem('corrupted', `The key ${key.id} on the token is not the one that was recorded.`);
    }
    const found = { handle, publicKey, binding: key.binding };
    this.#found.set(key.id, found);
    return found;
  }

  #readPublicKey(id: string, keyType: KeyType): Buffer {
    const handle = this.#only(id, 'public');
    const parts = publicParts(this.#module.p, keyType).map((type) => this.#read(handle, type));
    return publicKeyOf(id, keyType, parts);
  }

  /** One at a time, and none that a token may lack: pkcs11js frees what it never had where one is not there. */
  #read(handle: Handle, type: number): Buffer {
    return this.#module.cryptoki.C_GetAttributeValue(this.#login.session, handle, [{ type }])[0]!.value;
  }

  #only(id: string, half: 'public' | 'private'): Handle {
    const handles = this.#handles(id, half);
    if (handles.length === 1) return handles[0]!;
    if (handles.length > 1) throw new CustodyProblem('corrupted', `The token has several ${half} keys ${id}.`);
    // Before it is said to be lost for good.
    this.#requireThere();
    throw new CustodyProblem(
      'no_such_key',
      `The token with the serial number ${this.#login.serial} has no ${half} key ${id}.`,
      'Is it the right token? If it was initialised anew, the key has ended, unless the HSM has a back-up.',
    );
  }

  #handles(id: string, half: 'public' | 'private'): Handle[] {
    const { p, cryptoki } = this.#module;
    const { session } = this.#login;
    cryptoki.C_FindObjectsInit(session, search(p, id, half));
    try {
      return cryptoki.C_FindObjects(session, 2);
    } finally {
      cryptoki.C_FindObjectsFinal(session);
    }
  }

  #destroy(id: string): void {
    const { cryptoki } = this.#module;
    this.#found.delete(id);
    const handles = (['private', 'public'] as const).flatMap((half) => this.#handles(id, half));
    // A token that has gone is empty, too; its key would come back with it.
    if (handles.length === 0) this.#requireThere();
    for (const handle of handles) {
      try {
        cryptoki.C_DestroyObject(this.#login.session, handle);
      } catch (error) {
        if (!isStaleHandle(error)) throw error;
      }
    }
  }
}
