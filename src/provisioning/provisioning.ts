// What provisioning works with: made once in server.ts and handed down as a value.

import type { Issuer } from '../issuing/issuer.ts';
import type { Outbound } from '../outbound.ts';
import type { Registry } from '../registry/writer.ts';
import type { Secret } from '../secret.ts';
import type { KeyPool } from './key-pool.ts';
import type { TrustFile } from './trust-file.ts';

/** Wraps secrets for the registry; the context names what they are of, and is needed to open them. */
export interface Seal {
  seal(plain: Uint8Array, context: string): Buffer;
  open(sealed: Uint8Array, context: string): Secret;
}

/** What its functions take first. */
export interface Provisioning {
  readonly registry: Registry;
  readonly issuer: Issuer;
  readonly seal: Seal;
  readonly keyPool: KeyPool;
  /** What this node keeps outside the registry of accounts whose owner signs whom they trust. */
  readonly trustFile: TrustFile;
  /** Where the server may connect to on behalf of others. */
  readonly outbound: Outbound;
  /** The present instant, in milliseconds since 1970. */
  readonly clock: () => number;
  readonly gateway: {
    /** Accounts are reached at `<uuid>.<domain>`. */
    readonly domain: string;
    /** The port that clients are told; known once the gateway listens. */
    readonly publicPort: () => number;
  };
}
