// What may be a device ID, and whether it matches a pattern that a tenant wrote.

import { RE2JS } from 're2js';
import { Problem } from '../problem.ts';

/** X.520 upper bound of a common name, in characters. */
const longest = 64;
const longestPattern = 512;
/** In instructions: a counted repetition makes a large program of a short pattern, and each character runs it once. */
const largestProgram = 2_000;

/** What people do not see, or see elsewhere than it stands: control, format (bidi marks, zero-width) and separator characters. */
export const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;

/**
 * Checks a device ID: 1 to 64 characters, none of them a control, format (bidi marks, zero-width) or separator
 * character, so that what people read is what is compared; and not beginning with `uuid:`, which names device UUIDs.
 * Returns the sentence that says what is wrong, or null.
 */
export function faultOfDeviceId(deviceId: string): string | null {
  const shown = JSON.stringify(deviceId.slice(0, 80));
  if (deviceId === '') return 'The device ID is empty.';
  if ([...deviceId].length > longest) return `The device ID ${shown} has more than ${longest} characters.`;
  if (!deviceId.isWellFormed()) return `The device ID ${shown} is not well-formed Unicode.`;
  if (unseen.test(deviceId)) {
    return `The device ID ${shown} contains a control, formatting, invisible or line-separating character.`;
  }
  if (deviceId.trim() === '') return 'The device ID consists of white space.';
  if (deviceId.startsWith('uuid:'))
    return `The device ID ${shown} begins with "uuid:", which is kept for device UUIDs.`;
  return null;
}

const compiled = new Map<string, RE2JS>();
const mostCompiled = 10_000;

/** Throws Problem `invalid_request` for a pattern that is no RE2 expression. */
export function checkPattern(pattern: string): void {
  compile(pattern);
}

/** Whether a pattern matches the whole device ID; takes time linear in the ID's length, whatever the pattern (RE2). */
export function matchesPattern(pattern: string, deviceId: string): boolean {
  return compile(pattern).matches(deviceId);
}

function compile(pattern: string): RE2JS {
  const known = compiled.get(pattern);
  if (known) return known;
  if (pattern.length > longestPattern) {
    throw new Problem('invalid_request', `The device ID pattern has more than ${longestPattern} characters.`);
  }
  let fresh: RE2JS;
  try {
    fresh = RE2JS.compile(pattern);
  } catch (error) {
    throw new Problem(
      'invalid_request',
      `The device ID pattern ${JSON.stringify(pattern)} is no regular expression: ${(error as Error).message}.`,
      'Patterns are RE2 expressions (no back-references, no look-around) and match the whole device ID.',
    );
  }
  if (fresh.programSize() > largestProgram) {
    throw new Problem(
      'invalid_request',
      `The device ID pattern ${JSON.stringify(pattern)} repeats too much to be fast.`,
    );
  }
  if (compiled.size >= mostCompiled) compiled.clear();
  compiled.set(pattern, fresh);
  return fresh;
}
