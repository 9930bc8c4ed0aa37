// What the server and the process that holds an HSM's token say to each other.

import type { CustodyFault, KeyType, SigningAlgorithm } from './custodian.ts';

/** Which token, and how it is opened. */
export interface TokenSettings {
  /** Absolute path of the PKCS #11 module, the HSM maker's shared library. */
  module: string;
  /** The token's label, or null where its serial number is given. */
  tokenLabel: string | null;
  tokenSerial: string | null;
  /** The file that holds the user's PIN, or null where a variable does. */
  pinFile: string | null;
  /** The name of that environment variable. */
  pinVariable: string | null;
  /** How many signatures the token makes at once. */
  sessions: number;
}

/** What the process is started with, as its first message. */
export interface Start extends TokenSettings {
  /** The key under which a PIN is marked: see `refused`. */
  marking: Buffer;
  /** The mark of the PIN that the token has refused, which is not tried again; null where none was. */
  refused: Buffer | null;
}

/** A key on the token, as it was remembered. */
export interface StoredKey {
  id: string;
  keyType: KeyType;
  /** The serial number of the token on which it was made; a restored copy may lie on another. */
  token: string;
  /** Binds the other three together: see `bindingOf`. */
  binding: Buffer;
}

/** What the token can be asked for. */
export type Call =
  | { kind: 'check' }
  | { kind: 'create'; id: string; keyType: KeyType }
  | { kind: 'import'; id: string; keyType: KeyType; privateKey: Buffer }
  | { kind: 'publicKey'; key: StoredKey }
  /** `input` is the digest for ECDSA, the data itself for RSA. */
  | { kind: 'sign'; key: StoredKey; algorithm: SigningAlgorithm; input: Buffer }
  | { kind: 'destroy'; key: StoredKey };

/** A key that is made or taken in: its public half (SPKI, DER) and the token that has it. */
export interface MadeKey {
  publicKey: Buffer;
  token: string;
}

/** A call, or word that nobody waits for its answer any more. */
export type Request = { number: number; call: Call } | { number: number; forget: true };

/** What went wrong, in parts: a CustodyProblem loses its class between processes. */
export interface Failure {
  fault: CustodyFault;
  message: string;
  hint: string | null;
  /** The token, or the login, has gone: this process is of no more use. */
  gone: boolean;
}

export type Answer = { number: number; value: Buffer | MadeKey | null } | { number: number; failure: Failure };

/** What the process says: once that it is open or why not, then answers. */
export type Message =
  | { kind: 'open' }
  /** `refused` is the mark of a PIN that the token did not take. */
  | { kind: 'closed'; failure: Failure; refused: Buffer | null }
  | { kind: 'answers'; answers: Answer[] };
