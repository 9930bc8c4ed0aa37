// How the service speaks TLS.

import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';

/**
 * As the device gateway (docs/wire.md), and for the same reasons. `ca` is an empty list: left out, Node would trust the
 * public roots; filled, it would tell every stranger who may ask, and clients whose issuer is not on it would withhold
 * their certificate. Tickets and renegotiation are off: both bring in peers that no handshake of this connection showed.
 */
export const contextOptions = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  ciphers: [
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'TLS_AES_128_GCM_SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
  ].join(':'),
  ecdhCurve: 'X25519:P-256:P-384',
  ca: [],
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
} as const satisfies SecureContextOptions;
