// The gateway's faces in TLS: one for each account, with the account's own certificate and the account's own tickets.

import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import tls, { type TLSSocket } from 'node:tls';
import { LRUCache } from 'lru-cache';
import type { Change } from '../registry/changes.ts';
import { atMost, type Loading, remembered } from './remembered.ts';
import { type TicketKey, ticketKeyOf, type Tickets } from './tickets.ts';

/** A gateway certificate with its chain up to the root (PEM) and its private key, as TLS needs them in process. */
export interface GatewayCredentials {
  readonly chain: string;
  readonly key: string;
}

/** One takes 40 KiB and 200 µs: enough are kept for the accounts in use. */
const mostFaces = 10_000;

/**
 * What every face has in common. `ca` is an empty list: left out, Node would trust the public roots; filled, it would tell
 * every stranger the Fleet Root CAs' names, and clients whose issuer is not on it would withhold their certificate.
 * Renegotiation is off: it brings in peers that no handshake of this connection showed. AES-128 stands first, as strong as
 * the P-256 of the certificates: a handshake hashes much and little else, and SHA-256 is what processors do by themselves.
 */
const contextOptions = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
  ].join(':'),
  ecdhCurve: 'X25519MLKEM768:X25519:P-256:P-384:P-521',
  ca: [],
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  requestCert: true,
  // Admission decides, by its own path validation; OpenSSL's verdict is not used.
  rejectUnauthorized: false,
  ALPNProtocols: ['http/1.1'],
  // Said, since Node would take it from the command line, and every process of a server is to take up the others' sessions.
  sessionIdContext: 'fleetroot',
} satisfies tls.TlsOptions;

export interface FaceOptions {
  /** How long a handshake may take, in milliseconds. */
  readonly handshakeTimeout: number;
  /** How long a session can be taken up again, in milliseconds. */
  readonly sessionLifetime: number;
}

export interface FaceParts {
  readonly credentialsOf: (account_id: string) => Promise<GatewayCredentials>;
  /** Null where no session is ever taken up again. */
  readonly tickets: Tickets | null;
  /** A handshake is done. */
  readonly secured: (socket: TLSSocket) => void;
  /** A handshake has failed. */
  readonly failed: (socket: TLSSocket, error: NodeJS.ErrnoException) => void;
}

interface Face {
  readonly server: tls.Server;
  /** Under which its tickets are. */
  ticketKey: TicketKey | null;
}

/**
 * The faces in use. Which one a connection gets is settled before its TLS begins, by the server name that its first bytes
 * ask for: OpenSSL takes up a session before it asks anybody for the account, and under one face for all it took up one
 * account's under another's.
 */
export class Faces {
  readonly #options: FaceOptions;
  readonly #parts: FaceParts;
  readonly #faces = new LRUCache<string, Loading<Face>>(atMost(mostFaces));

  constructor(options: FaceOptions, parts: FaceParts) {
    this.#options = options;
    this.#parts = parts;
  }

  /** Begins the handshake of a connection with an account. Throws where the account has no certificate. */
  async begin(socket: Socket, account_id: string): Promise<void> {
    const face = await remembered(this.#faces, account_id, () => this.#open(account_id));
    const key = this.#parts.tickets?.present ?? null;
    if (key !== null && face.ticketKey !== key) {
      face.server.setTicketKeys(ticketKeyOf(key, account_id));
      face.ticketKey = key;
    }
    if (!socket.destroyed) face.server.emit('connection', socket);
  }

  /** A renewed gateway certificate serves the next handshake; connections that are open go on. */
  forget(change: Change): void {
    if (change.kind === 'account') this.#faces.delete(change.account_id);
    if (change.kind === 'everything') this.#faces.clear();
  }

  async #open(account_id: string): Promise<Face> {
    const { credentialsOf, tickets, secured, failed } = this.#parts;
    const { chain, key } = await credentialsOf(account_id);
    const server = tls.createServer({
      ...contextOptions,
      cert: chain,
      key,
      handshakeTimeout: this.#options.handshakeTimeout,
      sessionTimeout: Math.ceil(this.#options.sessionLifetime / 1000),
      ...(tickets === null && { secureOptions: contextOptions.secureOptions | constants.SSL_OP_NO_TICKET }),
    });
    server.on('secureConnection', secured);
    server.on('tlsClientError', (error, socket) => failed(socket, error));
    return { server, ticketKey: null };
  }
}
