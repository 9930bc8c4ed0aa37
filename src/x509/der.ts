// Reads DER strictly: what a stranger sends is either exactly one well-formed value or a DerError, in linear time.

import { isAscii } from 'node:buffer';

/** The bytes are not the DER that was expected there. The message is one sentence. */
export class DerError extends Error {
  override readonly name = 'DerError';
}

/**
 * One DER value. `tag` is its identifier octet; `content` and `raw` (identifier, length, content) share its memory. They
 * are made when they are first asked for: of most values, which only hold others, nobody asks.
 */
export class Element {
  readonly tag: number;
  readonly #bytes: Buffer;
  readonly #at: number;
  readonly #start: number;
  readonly #end: number;
  #content: Buffer | undefined;
  #raw: Buffer | undefined;

  /** It begins at `at` in `bytes`, its content at `start`, and both end at `end`. */
  constructor(tag: number, bytes: Buffer, { at, start, end }: { at: number; start: number; end: number }) {
    this.tag = tag;
    this.#bytes = bytes;
    this.#at = at;
    this.#start = start;
    this.#end = end;
  }

  get content(): Buffer {
    return (this.#content ??= this.#bytes.subarray(this.#start, this.#end));
  }

  get raw(): Buffer {
    return (this.#raw ??= this.#bytes.subarray(this.#at, this.#end));
  }

  /** The elements that its content is, end to end. */
  inside(): Element[] {
    return elementsIn(this.#bytes, this.#start, this.#end);
  }

  /** Where it ends in the bytes that it was read from. */
  get end(): number {
    return this.#end;
  }
}

/** Identifier octets of the universal types that X.509 uses (ITU-T X.680 §8.4). */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The identifier octet of a context-specific tag `[n]`, n below 31. */
export function contextTag(n: number, constructed: boolean): number {
  return (constructed ? 0xa0 : 0x80) | n;
}

/** The longest object identifier that is read, in content octets: a 128-bit arc (X.667) takes 19. */
const oidLimit = 64;

/** Reads the element that starts at `at` and ends by `limit`; it may be followed by more. Throws DerError. */
function elementAt(bytes: Buffer, at: number, limit: number): Element {
  if (at + 2 > limit) throw new DerError('The bytes end before the element does.');
  const tag = bytes[at]!;
  const first = bytes[at + 1]!;
  // X.509 has no tag above 30, and a second way to write the small ones would not be DER.
  if ((tag & 0x1f) === 0x1f) throw new DerError('An element has a tag of several octets, which X.509 does not use.');
  let start = at + 2;
  let length = first;
  if (first >= 0x80) {
    const octets = first & 0x7f;
    if (octets === 0) throw new DerError('An element has an indefinite length, which DER does not allow.');
    if (octets > 4) throw new DerError('An element claims a length of more than four octets.');
    if (start + octets > limit) throw new DerError('The bytes end before the element does.');
    length = bytes.readUIntBE(start, octets);
    if (length < 0x80 || bytes[start] === 0) throw new DerError('A length is not written in its shortest form.');
    start += octets;
  }
  const end = start + length;
  if (end > limit) throw new DerError('The bytes end before the element does.');
  return new Element(tag, bytes, { at, start, end });
}

function elementsIn(bytes: Buffer, start: number, end: number): Element[] {
  const found: Element[] = [];
  for (let at = start; at < end;) {
    const element = elementAt(bytes, at, end);
    found.push(element);
    at = element.end;
  }
  return found;
}

/** Reads a buffer that is exactly one element. Throws DerError, also where bytes follow it. */
export function readElement(bytes: Buffer): Element {
  const element = elementAt(bytes, 0, bytes.length);
  if (element.end !== bytes.length) throw new DerError('There are bytes after the end of the element.');
  return element;
}

/**
 * Reads a buffer that is elements end to end: the content of a SEQUENCE or SET. One level only, so that nothing here
 * recurses: how deep a reader goes is fixed by the grammar it follows, never by the bytes. Throws DerError.
 */
export function elements(content: Buffer): Element[] {
  return elementsIn(content, 0, content.length);
}

/** The element itself, where it is there and has this tag; `what` names it in the sentence of the DerError. */
export function expectTag(element: Element | undefined, tag: number, what: string): Element {
  if (element === undefined) throw new DerError(`There is no ${what}.`);
  if (element.tag !== tag) throw new DerError(`The ${what} has the tag ${hexTag(element.tag)}, not ${hexTag(tag)}.`);
  return element;
}

/** The elements inside one that has this tag. Throws DerError. */
export function children(element: Element | undefined, tag: number, what: string): Element[] {
  return expectTag(element, tag, what).inside();
}

/** The one element inside an EXPLICIT tag. Throws DerError. */
export function inner(element: Element): Element {
  return readElement(element.content);
}

/** An OBJECT IDENTIFIER in dotted form (X.690 §8.19). Throws DerError. */
export function readOid(element: Element | undefined, what = 'object identifier'): string {
  return oidOf(expectTag(element, tags.oid, what).content);
}

/** Object identifiers that have been read, by their octets; those of all certificates are few. */
const knownOids = new Map<string, string>();
/** Strangers may send any: what is beyond so many is read anew each time. */
const mostKnownOids = 500;

/** The dotted form of an object identifier's content octets, for IMPLICIT tags. Throws DerError. */
export function oidOf(content: Buffer): string {
  const octets = content.length > oidLimit ? '' : content.toString('latin1');
  const known = knownOids.get(octets);
  if (known !== undefined) return known;
  const dotted = dottedOf(content);
  if (knownOids.size < mostKnownOids) knownOids.set(octets, dotted);
  return dotted;
}

function dottedOf(content: Buffer): string {
  if (content.length === 0 || content.length > oidLimit) throw new DerError('An object identifier has an odd length.');
  let dotted = '';
  let arc = 0n;
  let small = 0;
  let octets = 0;
  for (const octet of content) {
    if (octets === 0 && octet === 0x80) throw new DerError('An object identifier is not in its shortest form.');
    octets += 1;
    // Six octets of seven bits fit a number exactly; longer arcs are rare and take the slow road.
    if (octets === 7) arc = BigInt(small);
    if (octets >= 7) arc = (arc << 7n) | BigInt(octet & 0x7f);
    else small = small * 128 + (octet & 0x7f);
    if (octet & 0x80) continue;
    const value: number | bigint = octets >= 7 ? arc : small;
    if (dotted !== '') dotted += `.${value}`;
    else if (value < 80) dotted = `${value < 40 ? 0 : 1}.${Number(value) % 40}`;
    else dotted = `2.${typeof value === 'bigint' ? value - 80n : value - 80}`;
    small = 0;
    octets = 0;
  }
  if (octets !== 0) throw new DerError('An object identifier ends in the middle of an arc.');
  return dotted;
}

/** An INTEGER's content octets: two's complement, big-endian, checked to be the shortest (X.690 §8.3). */
export function readInteger(element: Element | undefined, what = 'integer'): Buffer {
  return integerOf(expectTag(element, tags.integer, what).content, what);
}

/** The same for the content octets alone, for IMPLICIT tags. Throws DerError. */
export function integerOf(content: Buffer, what = 'integer'): Buffer {
  const [first, second] = content;
  if (first === undefined) throw new DerError(`The ${what} is empty.`);
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    throw new DerError(`The ${what} is not in its shortest form.`);
  }
  return content;
}

/** A non-negative INTEGER of at most 47 bits as a number. Throws DerError. */
export function readSmallInteger(element: Element | undefined, what = 'integer'): number {
  return smallIntegerOf(readInteger(element, what), what);
}

/** The same for content octets that `integerOf` has passed, for IMPLICIT tags. Throws DerError. */
export function smallIntegerOf(content: Buffer, what = 'integer'): number {
  if (content[0]! >= 0x80) throw new DerError(`The ${what} is negative.`);
  if (content.length > 6) throw new DerError(`The ${what} is larger than any that makes sense.`);
  return content.readUIntBE(0, content.length);
}

/** A BOOLEAN: 00 or FF, nothing else (X.690 §11.1). Throws DerError. */
export function readBoolean(element: Element | undefined, what = 'boolean'): boolean {
  const { content } = expectTag(element, tags.boolean, what);
  if (content.length !== 1 || (content[0] !== 0x00 && content[0] !== 0xff)) {
    throw new DerError(`The ${what} is neither 00 nor FF.`);
  }
  return content[0] === 0xff;
}

/** A BIT STRING: its octets, and how many bits at their end are not used; those must be zero (X.690 §11.2.1). */
export function readBitString(
  element: Element | undefined,
  what = 'bit string',
): { readonly bytes: Buffer; readonly unusedBits: number } {
  const { content } = expectTag(element, tags.bitString, what);
  const unusedBits = content[0];
  if (unusedBits === undefined || unusedBits > 7 || (unusedBits > 0 && content.length === 1)) {
    throw new DerError(`The ${what} miscounts its unused bits.`);
  }
  if ((content[content.length - 1]! & ((1 << unusedBits) - 1)) !== 0 && content.length > 1) {
    throw new DerError(`The ${what} has unused bits that are not zero.`);
  }
  return { bytes: content.subarray(1), unusedBits };
}

/** The octets of a BIT STRING of whole octets, as keys and signatures are. Throws DerError. */
export function readBitStringOctets(element: Element | undefined, what = 'bit string'): Buffer {
  const { bytes, unusedBits } = readBitString(element, what);
  if (unusedBits !== 0) throw new DerError(`The ${what} is not a whole number of octets.`);
  return bytes;
}

/** The content of an OCTET STRING. Throws DerError. */
export function readOctetString(element: Element | undefined, what = 'octet string'): Buffer {
  return expectTag(element, tags.octetString, what).content;
}

/**
 * A UTCTime or GeneralizedTime as ms since 1970, negative before it. Both must be in UTC, with seconds and without
 * fractions (RFC 5280 §4.1.2.5.1, §4.1.2.5.2); a two-digit year of 50 and more is of the 20th century. A
 * GeneralizedTime before 2050, which a CA should not write, is read all the same. Throws DerError.
 */
export function readTime(element: Element | undefined, what = 'time'): number {
  if (element === undefined) throw new DerError(`There is no ${what}.`);
  const { tag, content } = element;
  const yearDigits = tag === tags.utcTime ? 2 : tag === tags.generalizedTime ? 4 : 0;
  if (yearDigits === 0) throw new DerError(`The ${what} has the tag ${hexTag(tag)}, which is no time.`);
  const text = isAscii(content) ? content.toString('latin1') : '';
  if (text.length !== yearDigits + 11 || !/^\d+Z$/.test(text)) {
    throw new DerError(`The ${what} is not of the form ${'Y'.repeat(yearDigits)}MMDDHHMMSSZ.`);
  }
  const at = (start: number): number => Number(text.slice(yearDigits + start, yearDigits + start + 2));
  const digits = Number(text.slice(0, yearDigits));
  const year = yearDigits === 4 ? digits : digits < 50 ? 2000 + digits : 1900 + digits;
  const [month, day, hour, minute, second] = [at(0), at(2), at(4), at(6), at(8)];
  const time = new Date(0);
  // Date.UTC would take the years 0 to 99 for 1900 to 1999.
  time.setUTCFullYear(year, month - 1, day);
  const real = time.getUTCMonth() === month - 1 && time.getUTCDate() === day && day > 0;
  if (!real || hour > 23 || minute > 59 || second > 59) throw new DerError(`The ${what} is no date: ${text}.`);
  return time.getTime() + ((hour * 60 + minute) * 60 + second) * 1000;
}

function hexTag(tag: number): string {
  return `0x${tag.toString(16).padStart(2, '0')}`;
}
