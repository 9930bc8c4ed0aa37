// The request of a line to its Fleet Root: which key and which name, once its signature shows that the line has that key.

import { Problem } from '../problem.ts';
import {
  type CertificationRequest,
  CertificationRequestError,
  faultOfRequestSignature,
  readRequestFile,
} from '../x509/certification-request.ts';
import { weaknessOf } from '../x509/key-weakness.ts';
import { firstCommonName } from '../x509/name.ts';
import { requireName } from './name.ts';

/** id-at-organizationalUnitName: where a line's request says its site. */
export const siteAttribute = '2.5.4.11';

/** id-at-description: what tells a line's request from a device's, which two files on one stick may be taken for. */
export const lineMark = { type: '2.5.4.13', value: 'Fleetroot factory line' } as const;

/** A request that may be signed. */
export interface LineRequest {
  readonly request: CertificationRequest;
  readonly name: string;
  readonly site: string | null;
}

/** Reads a request, PEM or DER. Throws Problem('invalid_request'), Problem('key_not_accepted'). */
export function readLineRequest(file: Uint8Array): LineRequest {
  const request = read(file);
  const { publicKey, subject } = request;
  // Cheap first: what an RSA key's signature costs is up to whoever made it.
  if (publicKey.kind !== 'p256') {
    throw new Problem(
      'key_not_accepted',
      "A line's key is P-256, and this one is not.",
      'On the line: `factory line request` makes the key and the request.',
    );
  }
  const weakness = weaknessOf(publicKey);
  if (weakness !== null) throw new Problem('key_not_accepted', weakness);
  const fault = faultOfRequestSignature(request);
  if (fault !== null) throw new Problem('invalid_request', fault);
  if (!subject.attributes.some(({ type, value }) => type === lineMark.type && value === lineMark.value)) {
    throw new Problem(
      'invalid_request',
      'This is no request of a line: signed, its key could make devices.',
      'On the line: `factory line request` makes the request.',
    );
  }
  const site = subject.attributes.find(({ type }) => type === siteAttribute)?.value ?? null;
  return {
    request,
    name: requireName(firstCommonName(subject) ?? '', 'a line'),
    site: site === null ? null : requireName(site, 'a site'),
  };
}

function read(file: Uint8Array): CertificationRequest {
  try {
    return readRequestFile(file);
  } catch (cause) {
    if (!(cause instanceof CertificationRequestError)) throw cause;
    throw new Problem('invalid_request', cause.message, null, { cause });
  }
}
