// An ECDSA signature in its two forms: the DER of certificates, and the two numbers of JWS.

import { children, readElement, readInteger, tags } from './der.ts';

/**
 * r ‖ s, each of so many octets (RFC 7518 §3.4), of the DER of RFC 3279 §2.2.3. Throws DerError, and RangeError where a
 * number is too large.
 */
export function ecdsaIntegers(der: Uint8Array, octets: number): Buffer {
  const numbers = children(readElement(Buffer.from(der)), tags.sequence, 'ECDSA signature');
  return Buffer.concat(numbers.map((number) => unsigned(readInteger(number, 'number of the signature'), octets)));
}

function unsigned(content: Buffer, octets: number): Buffer {
  const digits = content[0] === 0 ? content.subarray(1) : content;
  if (digits.length > octets) throw new RangeError(`a number of the signature has more than ${octets} octets`);
  return Buffer.concat([Buffer.alloc(octets - digits.length), digits]);
}
