// What an organisation, a line or a site may be called: it stands in certificates, mandates and file names.

import { Problem } from '../problem.ts';
import { unseen } from '../provisioning/device-id.ts';

/** Letters, digits and what people write between them; 64 is the upper bound of a common name (RFC 5280 appendix A.1). */
const name = /^[\p{L}\p{N}](?:[\p{L}\p{M}\p{N} .,&'()+_-]{0,62}[\p{L}\p{M}\p{N}.)])?$/u;

/** Throws Problem('invalid_request'). `what` is `a line` or the like. */
export function requireName(given: string, what: string): string {
  if ([...given].length <= 64 && name.test(given) && !unseen.test(given)) return given;
  throw new Problem(
    'invalid_request',
    `${JSON.stringify(given.slice(0, 80))} is no name for ${what}: 1 to 64 letters, digits, spaces and .,&'()+_-, a letter or digit first.`,
  );
}
