// What logins work with: made once in server.ts and handed down as a value.

import { createHash, randomBytes } from 'node:crypto';
import type { AuthenticatingSeal } from '../custody/seal.ts';
import type { Log } from '../log.ts';
import type { Registry } from '../registry/writer.ts';
import { Challenges } from './challenge.ts';
import { FailedSignIns } from './failed-sign-ins.ts';
import { PasswordHashes } from './password-hash.ts';
import { Throttle } from './throttle.ts';

/** What its functions take first. */
export interface Login {
  readonly registry: Registry;
  readonly seal: AuthenticatingSeal;
  readonly log: Log;
  /** The present instant, in milliseconds since 1970. */
  readonly clock: () => number;
  readonly settings: LoginSettings;
  readonly hashes: PasswordHashes;
  readonly throttle: Throttle;
  readonly challenges: Challenges;
  readonly failures: FailedSignIns;
}

export interface LoginSettings {
  /** How long a session may be idle, in milliseconds. */
  readonly idle: number;
  /** How long a session lives at the most, in milliseconds. */
  readonly lifetime: number;
  /** Where operators reach the server; null where nobody has said. */
  readonly publicUrl: URL | null;
  /** Whether people sign in with what is kept here; else by the identity provider alone. */
  readonly passwords: boolean;
}

/** Where a call comes from. */
export interface Caller {
  /** Its IP address; null on the socket. */
  readonly address: string | null;
  readonly userAgent: string | null;
  /** The cookie of a browser that has signed in before, or what is said to be one. */
  readonly browser: string | null;
}

/** Opens logins; `failures` is to be disposed of. */
export function openLogin(open: Pick<Login, 'registry' | 'seal' | 'log' | 'clock' | 'settings'>): Login {
  return {
    ...open,
    hashes: new PasswordHashes(),
    throttle: new Throttle(open.clock),
    challenges: new Challenges(open),
    failures: new FailedSignIns(open.registry, open.clock, open.log),
  };
}

/** A secret that nobody guesses, of 256 bits, base64url. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** What is kept of such a secret: it has more bits than anybody can try, so that a plain hash is enough. */
export function sha256Of(secret: string | Uint8Array): string {
  return createHash('sha256').update(secret).digest('hex');
}
