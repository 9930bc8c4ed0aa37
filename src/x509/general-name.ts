// GeneralName, the choice of name forms in a subjectAltName and in name constraints (RFC 5280 §4.2.1.6).

import { isAscii } from 'node:buffer';

import { contextTag, DerError, elements, inner, oidOf, readOid, type Element } from './der.ts';
import { parseName, type Name } from './name.ts';

/** A name of one of the nine forms. Octets of forms that nobody reads are kept as they are. */
export type GeneralName =
  | { readonly form: 'otherName'; readonly type: string; readonly value: Buffer }
  | { readonly form: 'rfc822Name' | 'dNSName' | 'uniformResourceIdentifier' | 'registeredID'; readonly value: string }
  | { readonly form: 'directoryName'; readonly value: Name }
  | { readonly form: 'x400Address' | 'ediPartyName' | 'iPAddress'; readonly value: Buffer };

/** Reads one GeneralName. An iPAddress is not measured here: in constraints it is twice as long. Throws DerError. */
export function readGeneralName(element: Element): GeneralName {
  const { tag, content } = element;
  switch (tag) {
    case contextTag(0, true): {
      const [type, value, extra] = elements(content);
      if (value?.tag !== contextTag(0, true) || extra !== undefined) throw new DerError('An otherName is malformed.');
      return { form: 'otherName', type: readOid(type, 'type of an otherName'), value: inner(value).raw };
    }
    case contextTag(1, false):
      return { form: 'rfc822Name', value: ia5Text(content) };
    case contextTag(2, false):
      return { form: 'dNSName', value: ia5Text(content) };
    case contextTag(3, true):
      return { form: 'x400Address', value: content };
    case contextTag(4, true):
      // A Name is a CHOICE, so its tag is EXPLICIT even here.
      return { form: 'directoryName', value: parseName(inner(element), 'directoryName') };
    case contextTag(5, true):
      return { form: 'ediPartyName', value: content };
    case contextTag(6, false):
      return { form: 'uniformResourceIdentifier', value: ia5Text(content) };
    case contextTag(7, false):
      return { form: 'iPAddress', value: content };
    case contextTag(8, false):
      return { form: 'registeredID', value: oidOf(content) };
    default:
      throw new DerError(`A general name has the tag 0x${tag.toString(16)}, which is none of its forms.`);
  }
}

function ia5Text(content: Buffer): string {
  if (!isAscii(content)) throw new DerError('A general name has octets that are not ASCII.');
  return content.toString('latin1');
}
