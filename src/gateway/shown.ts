// The certificates that a peer showed in its handshake, as it sent them.

import type { TLSSocket } from 'node:tls';
import { mostCertificates } from '../provisioning/device-identity.ts';
import { type Certificate, CertificateError, parseCertificate, tbsSha256Of } from '../x509/certificate.ts';

/** What a connection showed, read once. */
export interface Shown {
  /** DER, in the order sent, the leaf first; one more than may be sent at the most. */
  readonly ders: readonly Buffer[];
  /** SHA-256 of the leaf's TBSCertificate, hex; null where there is none that can be read. */
  readonly tbsSha256: string | null;
  /** The leaf, where there is one that can be read. It is read when first asked for: who is known needs no more. */
  readonly leaf: Certificate | null;
  /** Why the leaf cannot be read. */
  readonly fault: string | null;
}

/**
 * Reads what the peer sent. `getPeerX509Certificate` gives every certificate in the order sent;
 * `getPeerCertificate(true)` would drop strangers and add what was never sent.
 */
export function readShown(socket: TLSSocket): Shown {
  const ders: Buffer[] = [];
  let next = socket.getPeerX509Certificate();
  while (next && ders.length <= mostCertificates) {
    ders.push(next.raw);
    next = next.issuerCertificate;
  }
  const [first] = ders;
  if (!first) return { ders, tbsSha256: null, leaf: null, fault: null };
  let read: Certificate | string | undefined;
  const leafOrFault = () => (read ??= parseOrFault(first));
  return {
    ders,
    tbsSha256: tbsSha256Of(first),
    get leaf() {
      const leaf = leafOrFault();
      return typeof leaf === 'string' ? null : leaf;
    },
    get fault() {
      const fault = leafOrFault();
      return typeof fault === 'string' ? fault : null;
    },
  };
}

/** The same leaf with the others by which it came before. */
export function withOthers(shown: Shown, others: readonly Buffer[]): Shown {
  const { tbsSha256 } = shown;
  return {
    ders: [...shown.ders.slice(0, 1), ...others],
    tbsSha256,
    get leaf() {
      return shown.leaf;
    },
    get fault() {
      return shown.fault;
    },
  };
}

/** The certificates beside the leaf that can be read: those that cannot are strangers on no path. */
export function readOthers({ ders }: Shown): Certificate[] {
  return ders
    .slice(1)
    .map(parseOrFault)
    .filter((other) => typeof other !== 'string');
}

function parseOrFault(der: Buffer): Certificate | string {
  try {
    return parseCertificate(der);
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    return error.message;
  }
}
