// `custody …`: the keys that the server holds, and the master key over them.

import type { RotatedJson } from '../operator/schemas.ts';
import { command } from './command.ts';
import { noted, sentences } from './page.ts';

export const custodyCommands = [
  command({
    words: 'custody rotate-master',
    about: 'Put everything that is sealed under a new master key, while the server serves.',
    more: [
      'A master key in a file is replaced there. Any other is to be configured first: custody.next_…, docs/the-master-key.md.',
      'Where it is interrupted, the server goes on with it at its next start.',
    ],
    call: (_, { api }) => api.post<RotatedJson>('/custody/rotate-master'),
    print: ({ values, place, setting }) =>
      noted(
        sentences(
          `${values} sealed value(s) lie under the new master key now, which is ${place}.`,
          ...(setting === null ? [] : [`Now make ${setting.replace('.next_', '.')} of ${setting}, and take the old one out.`]),
        ),
        'Back it up now. The old one opens nothing here any more, only backups of the registry that were made before.',
      ),
  }),
];
