// Text from outside made safe for a terminal: device IDs, rules and reports are what strangers chose to send.

/**
 * What a terminal may act on instead of showing, or shows as nothing: controls (C0, DEL, C1: ESC, CSI, CR…), format
 * characters (bidi overrides and isolates, zero-width ones, soft hyphen), line and paragraph separators, halves of
 * surrogate pairs, and what else is never seen (fillers, variation selectors, tags), by which two IDs would look alike.
 */
const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** One line of text with everything unsafe written as `\u{…}`. */
export function printable(text: string): string {
  return text.replace(unsafe, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}

/** Several lines of text, each made printable: line feeds stay. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/**
 * JSON, indented, with everything unsafe as `\uXXXX`: the same value, which a terminal shows and never obeys. A list
 * comes item by item, since the whole of a large fleet is longer than a string may be.
 */
export function* printableJson(value: unknown): Generator<string> {
  if (!Array.isArray(value) || value.length === 0) {
    yield `${escapedJson(value)}\n`;
    return;
  }
  let before = '[\n';
  for (const item of value) {
    yield before + escapedJson(item).replace(/^/gm, '  ');
    before = ',\n';
  }
  yield '\n]\n';
}

function escapedJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(unsafe, (character) =>
    character === '\n' ? character : character.split('').map(escapedUnit).join(''),
  );
}

function escapedUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
