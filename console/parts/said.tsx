// A sentence of the API: what it has between `backticks`, such as a command, stands out.

import { Code } from '@mantine/core';
import { drawnWithin } from './drawn.ts';

/** Words in backticks, as a sentence has them: those within a name that somebody else chose are left as they are. */
const words = /(?<=^|[\s(])`([^`]+)`(?=$|[\s.,:;?)])/;

/** Shows `text`, wherever text may stand. */
export function Said({ text }: { text: string }) {
  return drawnWithin(text)
    .split(words)
    .map((part, at) =>
      // What the expression holds comes between the parts that it separates.
      at % 2 === 1 ? <Code key={at}>{part}</Code> : part,
    );
}
