// What a Fleet Root answers a line, as one text file that crosses on a stick: two certificates and a mandate, as PEM.

import { Problem } from '../problem.ts';
import { type Certificate, CertificateError, parseCertificate } from '../x509/certificate.ts';
import { encodePem, pemBlocks } from '../x509/pem.ts';

const certificateLabel = 'CERTIFICATE';
const mandateLabel = 'FLEETROOT MANDATE';

/** Read, and nothing of it believed. */
export interface LineBundle {
  readonly ca: Certificate;
  readonly root: Certificate;
  /** A compact JWS (manifest/mandate.ts). */
  readonly mandate: string;
}

/** Octets of a bundle at the most. */
const bundleLimit = 64 * 1024;

/** Writes one; `about` are lines for people, before the rest. */
export function writeBundle(
  { ca, root, mandate }: { ca: Uint8Array; root: Uint8Array; mandate: string },
  about: readonly string[],
): string {
  return [
    ...about.map((line) => `${line}\n`),
    encodePem(certificateLabel, ca),
    encodePem(certificateLabel, root),
    encodePem(mandateLabel, Buffer.from(mandate)),
  ].join('');
}

/** Reads one. Throws Problem('invalid_request'). */
export function readBundle(text: string): LineBundle {
  if (text.length > bundleLimit) throw unreadable('it is larger than 64 KiB');
  const blocks = pemBlocks(text);
  if (blocks.some(({ label }) => label.endsWith('PRIVATE KEY'))) {
    throw unreadable('there is a private key in it, which must never leave where it was made');
  }
  const content = (wanted: string): Buffer[] =>
    blocks
      .filter(({ label }) => label === wanted)
      .map(({ bytes }) => {
        if (bytes === null) throw unreadable(`a ${wanted} in it is cut, or no base64`);
        return bytes;
      });
  const certificates = content(certificateLabel);
  const mandates = content(mandateLabel);
  const [ca, root] = certificates;
  const [mandate] = mandates;
  if (ca === undefined || root === undefined || certificates.length > 2) {
    throw unreadable(`it holds ${certificates.length} certificate(s), not the line's and the Fleet Root's`);
  }
  if (mandate === undefined || mandates.length > 1) throw unreadable(`it holds ${mandates.length} mandates, not one`);
  return {
    ca: read(ca, "the line's certificate"),
    root: read(root, "the Fleet Root's certificate"),
    mandate: mandate.toString('latin1'),
  };
}

function read(der: Buffer, which: string): Certificate {
  try {
    return parseCertificate(der);
  } catch (cause) {
    if (!(cause instanceof CertificateError)) throw cause;
    throw unreadable(`${which} cannot be read: ${cause.message}`, cause);
  }
}

function unreadable(why: string, cause?: unknown): Problem {
  return new Problem(
    'invalid_request',
    `This is no bundle for a line: ${why.replace(/\.$/, '')}.`,
    'Take the file that `factory root sign-line` wrote, whole.',
    { cause },
  );
}
