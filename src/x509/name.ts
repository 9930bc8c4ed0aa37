// Distinguished names: reading, comparing (RFC 5280 §7.1), writing, and their text for people.

import { isAscii, isUtf8 } from 'node:buffer';

import { children, DerError, readOid, tags, type Element } from './der.ts';
import { oid, sequence, set, utf8String } from './der-write.ts';

/** One attribute of a name. `value` is null where its type is no string or its octets are none of that type. */
export interface NameAttribute {
  /** Dotted object identifier. */
  readonly type: string;
  readonly value: string | null;
  /** Identifier octet of the value. */
  readonly tag: number;
  /** Which relative distinguished name it stands in, from 0. */
  readonly rdn: number;
}

/** A distinguished name. */
export interface Name {
  readonly der: Buffer;
  /** In encoding order. */
  readonly attributes: readonly NameAttribute[];
  /** For people, in the manner of RFC 4514 (last RDN first); nothing in it can control a terminal or a page. */
  readonly text: string;
  /** One comparison key for each RDN: two RDNs are the same one where their keys are equal. */
  readonly prepared: readonly string[];
  /** The comparison key of the whole name, likewise. */
  readonly key: string;
}

/** The longest name that is read, in octets: names are compared before anything in a certificate is known to be true. */
const nameLimit = 4 * 1024;

/** The attribute type `commonName`. */
export const commonName = '2.5.4.3';
/** The attribute type `emailAddress` (RFC 2985 §5.2.1). */
export const emailAddress = '1.2.840.113549.1.9.1';

/** RFC 4514 §3, and what else device certificates have. */
const shortNames: Readonly<Record<string, string>> = {
  [commonName]: 'CN',
  '2.5.4.4': 'SN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'street',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.12': 'title',
  '2.5.4.42': 'GN',
  '2.5.4.46': 'dnQualifier',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
  [emailAddress]: 'emailAddress',
};

/**
 * Reads a Name (RFC 5280 §4.1.2.4); an empty one is a name too. Values that cannot be decoded are kept as null, for
 * they matter only to whoever needs them. Throws DerError.
 */
export function parseName(element: Element | undefined, what = 'name'): Name {
  const sets = children(element, tags.sequence, what);
  const { raw } = element!;
  if (raw.length > nameLimit) throw new DerError(`The ${what} is longer than ${nameLimit / 1024} KiB.`);
  return new ReadName(raw, sets.map(readRdn));
}

/** A name whose text and keys are made when they are first asked for. */
class ReadName implements Name {
  readonly der: Buffer;
  readonly attributes: readonly NameAttribute[];
  readonly #rdns: readonly ReadAttribute[][];
  #text: string | undefined;
  #prepared: readonly string[] | undefined;
  #key: string | undefined;

  constructor(der: Buffer, rdns: readonly ReadAttribute[][]) {
    this.der = der;
    this.attributes = rdns.flat();
    this.#rdns = rdns;
  }

  get text(): string {
    return (this.#text ??= this.#rdns.map(textOf).toReversed().join(','));
  }

  get prepared(): readonly string[] {
    return (this.#prepared ??= this.#rdns.map(preparedRdn));
  }

  get key(): string {
    // No RDN's key has a line break in it: they are JSON.
    return (this.#key ??= this.prepared.join('\n'));
  }
}

/** An attribute with the octets of its value. */
type ReadAttribute = NameAttribute & { readonly content: Buffer };

/** The attributes of the RDN at an index. */
function readRdn(element: Element, rdn: number): ReadAttribute[] {
  const parts = children(element, tags.set, 'relative distinguished name');
  if (parts.length === 0) throw new DerError('A relative distinguished name is empty.');
  return parts.map((part) => {
    const [type, value, extra] = children(part, tags.sequence, 'name attribute');
    if (value === undefined || extra !== undefined)
      throw new DerError('A name attribute is no pair of type and value.');
    const { tag, content } = value;
    return { type: readOid(type, 'attribute type'), value: decodeString(tag, content), tag, rdn, content };
  });
}

/** The types that names of ours have, encoded. */
const encodedTypes = new Map<string, Buffer>();

/** Writes a name of one attribute an RDN, each a UTF8String. */
export function encodeName(attributes: readonly { readonly type: string; readonly value: string }[]): Buffer {
  return sequence(...attributes.map(({ type, value }) => set(sequence(encodedType(type), utf8String(value)))));
}

function encodedType(type: string): Buffer {
  let encoded = encodedTypes.get(type);
  if (encoded === undefined) encodedTypes.set(type, (encoded = oid(type)));
  return encoded;
}

/** Whether two names are the same one: all RDNs, in order (RFC 5280 §7.1). */
export function sameName(a: Name, b: Name): boolean {
  return a.der.equals(b.der) || a.key === b.key;
}

/** Whether a name stands in a directoryName subtree: its first RDNs are those of `subtree` (RFC 5280 §4.2.1.10). */
export function withinName(subtree: Name, name: Name): boolean {
  return subtree.prepared.every((rdn, index) => rdn === name.prepared[index]);
}

/**
 * The first CN in encoding order, of any string type, or null where there is none. It may be empty and hold any
 * character: what makes a device ID is decided elsewhere. Throws DerError where its octets do not spell a text.
 */
export function firstCommonName(name: Name): string | null {
  const first = name.attributes.find(({ type }) => type === commonName);
  if (first === undefined) return null;
  if (first.value === null) throw new DerError('The common name is not a valid string of its type.');
  return first.value;
}

/**
 * The text of a string of any type that occurs in names, or null. TeletexString is read as Latin-1, which is what
 * those who still write it mean (RFC 5280 §4.1.2.4); BMPString has no surrogates.
 */
function decodeString(tag: number, content: Buffer): string | null {
  switch (tag) {
    case tags.utf8String:
      return isUtf8(content) ? content.toString('utf8') : null;
    case tags.printableString:
    case tags.ia5String:
    case tags.numericString:
    case tags.visibleString:
      return isAscii(content) ? content.toString('latin1') : null;
    case tags.teletexString:
      return content.toString('latin1');
    case tags.bmpString:
      return decodeCodeUnits(content, 2);
    case tags.universalString:
      return decodeCodeUnits(content, 4);
    default:
      return null;
  }
}

/** Big-endian code points of two or four octets each, or null where one is no character. */
function decodeCodeUnits(content: Buffer, width: 2 | 4): string | null {
  if (content.length % width !== 0) return null;
  let text = '';
  for (let offset = 0; offset < content.length; offset += width) {
    const point = content.readUIntBE(offset, width);
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return null;
    text += String.fromCodePoint(point);
  }
  return text;
}

/** JSON, so that no value can pass for two; sorted, since an RDN is a set. */
function preparedRdn(attributes: readonly ReadAttribute[]): string {
  const pairs = attributes.map(({ type, value, tag, content }) => {
    const text = value === null ? null : prepare(value);
    return JSON.stringify([type, text === null ? `#${tag}:${content.toString('hex')}` : `=${text}`]);
  });
  return JSON.stringify(pairs.sort());
}

/** Characters that RFC 4518 §2.2 maps to nothing. */
const ignored =
  /[\0-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u1806\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u206a-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffc\u{1d173}-\u{1d17a}\u{e0001}\u{e0020}-\u{e007f}]/gu;
const whiteSpace = /[\t-\r\u0085\p{Z}]+/gu;

/** More non-starters in a row than any text has (UAX #15 §13); to normalise them takes the square of their number. */
const endlessMarks = /\p{M}{31}/u;

/**
 * A string prepared for caseless comparison (RFC 5280 §7.1, RFC 4518): mapped, case folded, NFKC, white space folded.
 * Null where it is no text that could be. A function of the text alone, so that comparing is an equivalence.
 */
function prepare(value: string): string | null {
  const mapped = fold(value.replace(ignored, ''));
  if (endlessMarks.test(mapped)) return null;
  return fold(mapped.normalize('NFKC')).replace(whiteSpace, ' ').trim();
}

/** Case folding as RFC 3454 table B.2 has it, as far as lower-casing does not do the same. */
function fold(value: string): string {
  return value.toLowerCase().replaceAll('ß', 'ss').replaceAll('ς', 'σ').replaceAll('ſ', 's');
}

/** One RDN for people (RFC 4514 §2.2, §2.3). */
function textOf(attributes: readonly NameAttribute[]): string {
  return attributes
    .map(({ type, value }) => `${shortNames[type] ?? type}=${value === null ? '?' : escapeText(value)}`)
    .join('+');
}

/** RFC 4514 §2.4 escapes, and `\u{…}` for what is invisible or turns the direction of the text. */
function escapeText(value: string): string {
  return value
    .replace(/[\\",+;<>=]|^[ #]| $/g, '\\$&')
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}
