// The form of a device ID: what was made in one go has one form.

import { scriptOf, signsOf } from '../../parts/drawn.ts';

const ascii: readonly (readonly [RegExp, string])[] = [
  [/^[A-Z]$/, 'A'],
  [/^[a-z]$/, 'a'],
  [/^[0-9]$/, '0'],
];

/** `pump-17` is `aaaa-00`; a letter that is not ASCII stands as its script, and what cannot be seen as itself. */
export const shapeOf = (deviceId: string): string =>
  signsOf(deviceId)
    .map(({ character, drawn, foreign }) => {
      if (foreign) return `‹${scriptOf(character) ?? '?'}›`;
      return ascii.find(([one]) => one.test(character))?.[1] ?? drawn;
    })
    .join('');
