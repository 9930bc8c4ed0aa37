// Why there is no certification path, in sentences for people.

import type { Certificate } from './certificate.ts';
import type { Name } from './name.ts';

/** Why there is no path. `rule` is one sentence: which certificate, and what is wrong with it. */
export interface PathFailure {
  readonly code:
    | 'certificate_untrusted'
    | 'certificate_expired'
    | 'certificate_not_yet_valid'
    | 'certificate_invalid'
    | 'excluded';
  readonly rule: string;
  /** The SHA-256 of the key, where the code is `excluded`. */
  readonly publicKey?: string;
}

/** A certificate breaks a rule; `fault` is the rest of a sentence that begins with its name. */
export function invalid(certificate: Certificate, fault: string): PathFailure {
  return { code: 'certificate_invalid', rule: `${title(certificate)} ${fault}.` };
}

/** A certificate in a sentence: its subject, or its serial number where that is empty. */
export function title({ subject, serial }: Certificate): string {
  return subject.attributes.length > 0 ? quote(subject) : `The certificate with the serial number ${shorten(serial)}`;
}

/** A name in a sentence. */
export function quote(name: Name): string {
  return `"${shorten(name.text)}"`;
}

/** Names come from strangers, and may be 64 KiB long. */
function shorten(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200).toWellFormed()}…`;
}
