// Writes DER: each function gives one complete element. For values of our own making: bad ones are RangeErrors.

import { contextTag, tags } from './der.ts';

/** One element: identifier octet, the shortest length, the content's parts one after the other. */
export function element(tag: number, ...content: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of content) length += part.length;
  const header = length < 0x80 ? 2 : length < 0x100 ? 3 : length < 0x10000 ? 4 : 5;
  if (length > 0xffffff) throw new RangeError('An element of more than 16 MiB is not written.');
  const bytes = Buffer.allocUnsafe(header + length);
  bytes[0] = tag;
  if (header === 2) {
    bytes[1] = length;
  } else {
    bytes[1] = 0x80 | (header - 2);
    bytes.writeUIntBE(length, 2, header - 2);
  }
  let offset = header;
  for (const part of content) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/** A SEQUENCE of these elements, in this order. */
export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return element(tags.sequence, ...parts);
}

/** A SET OF these elements, in the order that DER wants (X.690 §11.6). */
export function set(...parts: readonly Uint8Array[]): Buffer {
  return element(tags.set, ...parts.toSorted(Buffer.compare));
}

/** An INTEGER: a whole number, or the big-endian octets of a non-negative one of any size. */
export function integer(value: Uint8Array | number): Buffer {
  if (typeof value !== 'number') return element(tags.integer, unsigned(value));
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no whole number.`);
  const octets: number[] = [];
  let rest = value;
  do {
    const octet = ((rest % 256) + 256) % 256;
    octets.unshift(octet);
    rest = (rest - octet) / 256;
  } while (!((rest === 0 && octets[0]! < 0x80) || (rest === -1 && octets[0]! >= 0x80)));
  return element(tags.integer, Buffer.from(octets));
}

/** The shortest two's complement octets of a non-negative number given as big-endian octets. */
function unsigned(value: Uint8Array): Uint8Array {
  let start = 0;
  while (start < value.length - 1 && value[start] === 0) start += 1;
  const digits = value.subarray(start);
  const first = digits[0];
  return first === undefined || first >= 0x80 ? Buffer.concat([Buffer.of(0), digits]) : digits;
}

/** An OBJECT IDENTIFIER from its dotted form, such as `2.5.4.3` (X.690 §8.19). */
export function oid(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split('.').map((arc) => BigInt(arc));
  if (first === undefined || second === undefined || first > 2n || (first < 2n && second > 39n)) {
    throw new RangeError(`${dotted} is no object identifier.`);
  }
  const octets: number[] = [];
  for (const arc of [first * 40n + second, ...rest]) {
    const groups = [Number(arc & 0x7fn)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) groups.unshift(Number(left & 0x7fn) | 0x80);
    octets.push(...groups);
  }
  return element(tags.oid, Buffer.from(octets));
}

/** A BOOLEAN. */
export function boolean(value: boolean): Buffer {
  return element(tags.boolean, Buffer.of(value ? 0xff : 0x00));
}

/** A NULL. */
export function nullValue(): Buffer {
  return element(tags.null);
}

/** An OCTET STRING. */
export function octetString(bytes: Uint8Array): Buffer {
  return element(tags.octetString, bytes);
}

/** A BIT STRING whose last octet ends in `unusedBits` (0 to 7) bits that do not count. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return element(tags.bitString, Buffer.of(unusedBits), bytes);
}

/** A UTF8String. */
export function utf8String(text: string): Buffer {
  return element(tags.utf8String, Buffer.from(text, 'utf8'));
}

/** A PrintableString: letters, digits, space and '()+,-./:=? (X.680 §41.4). */
export function printableString(text: string): Buffer {
  if (!/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text)) throw new RangeError(`${JSON.stringify(text)} is not printable.`);
  return element(tags.printableString, Buffer.from(text, 'latin1'));
}

/** An IA5String: ASCII. */
export function ia5String(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length !== text.length) throw new RangeError(`${JSON.stringify(text)} is not ASCII.`);
  return element(tags.ia5String, bytes);
}

/** A time (ms since 1970, cut to the second): UTCTime from 1950 to 2049, else GeneralizedTime (RFC 5280 §4.1.2.5). */
export function time(ms: number): Buffer {
  const date = new Date(ms);
  const year = date.getUTCFullYear();
  if (!(year >= 0 && year <= 9999)) throw new RangeError(`${ms} is no time that a certificate can hold.`);
  const digits = date.toISOString().replace(/\.\d{3}|[-:T]/g, '');
  return year >= 1950 && year <= 2049
    ? element(tags.utcTime, Buffer.from(digits.slice(2), 'latin1'))
    : element(tags.generalizedTime, Buffer.from(digits, 'latin1'));
}

/** `[n] EXPLICIT`: a constructed context tag around a complete element. */
export function explicit(n: number, inner: Uint8Array): Buffer {
  return element(contextTag(n, true), inner);
}

/** `[n] IMPLICIT`: a context tag in place of the element's own; `content` is the content alone. */
export function implicit(n: number, content: Uint8Array, constructed: boolean): Buffer {
  return element(contextTag(n, constructed), content);
}
