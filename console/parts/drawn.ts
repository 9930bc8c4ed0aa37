// A name that somebody else chose, such as a device ID, as it is drawn: what cannot be seen is shown, and two that differ in it do not look the same.

/** One character of a name. */
export interface Sign {
  readonly character: string;
  /** What stands for it. */
  readonly drawn: string;
  /** It is a letter or digit, drawn as it is, that may look like one of ASCII. */
  readonly foreign: boolean;
}

/** Letters in use, by script: those that look like Latin ones among them (UTS #39). */
const scripts = [
  'Latin',
  'Greek',
  'Cyrillic',
  'Armenian',
  'Hebrew',
  'Arabic',
  'Devanagari',
  'Thai',
  'Georgian',
  'Hangul',
  'Cherokee',
  'Coptic',
  'Lisu',
  'Hiragana',
  'Katakana',
  'Han',
].map((name) => [name, new RegExp(`\\p{Script=${name}}`, 'u')] as const);

const letter = /[\p{Lu}\p{Ll}\p{Lt}\p{Lo}\p{Nd}]/u;
/** As the server has it (src/provisioning/device-id.ts): some of these are letters, and draw nothing. */
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;
const rightToLeft = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** Whether a name is drawn as it is, and all of it is ASCII. */
export const isPlain = (name: string): boolean => /^[!-~]+(?: [!-~]+)*$/.test(name);

const pointOf = (character: string): string =>
  `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;

/** The characters of a name, in their order. */
export function signsOf(name: string): readonly Sign[] {
  const characters = [...name];
  return characters.map((character, at) => {
    const foreign = character > '~' && letter.test(character) && !unseen.test(character);
    if (foreign || /[!-~]/.test(character)) return { character, drawn: character, foreign };
    if (character !== ' ') return { character, drawn: `‹${pointOf(character)}›`, foreign };
    const inner = [characters[at - 1], characters[at + 1]].every((beside) => beside !== undefined && beside !== ' ');
    return { character, drawn: inner ? ' ' : '␣', foreign };
  });
}

/** The name as it is drawn, for sentences: they go on in their own direction behind it, and it goes from left to right. */
export function drawn(name: string): string {
  if (isPlain(name)) return name;
  const all = signsOf(name)
    .map((sign) => sign.drawn)
    .join('');
  return rightToLeft.test(all) ? `\u2066\u202d${all}\u202c\u2069` : all;
}

/** The script of a letter; null where it is of none, or of another. */
export const scriptOf = (character: string): string | null =>
  scripts.find(([, its]) => its.test(character))?.[0] ?? null;

/** A sentence with names in it that somebody else chose: no spaces in it fall together, and none passes for another. */
export const drawnWithin = (sentence: string): string =>
  sentence
    .replaceAll(/ {2,}/g, (spaces) => '␣'.repeat(spaces.length))
    .replaceAll(/(?! )\p{Zs}/gu, (space) => `‹${pointOf(space)}›`);

/** The letters and digits of a name that are not ASCII, each once, by their scripts: `р, м (Cyrillic)`. */
export function foreignLetters(name: string): readonly string[] {
  const byScript = new Map<string, Set<string>>();
  for (const { character, foreign } of signsOf(name)) {
    if (!foreign) continue;
    const script = scriptOf(character) ?? pointOf(character);
    byScript.set(script, (byScript.get(script) ?? new Set()).add(character));
  }
  return [...byScript].map(([script, letters]) => `${[...letters].join(', ')} (${script})`);
}
