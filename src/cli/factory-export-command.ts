// `factory export`: the account of what a line has made and withdrawn, for `manifest import` at the server.

import { resolve } from 'node:path';
import { atFactoryOf, factoryCommon, factoryData } from './at-factory.ts';
import { command } from './command.ts';
import { withWholeFile } from './new-file.ts';
import { sentences } from './page.ts';
import { required, short, text, wholeNumber } from './parameters.ts';

/** What was exported: the entries after `since` up to `last`. */
interface Exported {
  readonly file: string;
  readonly since: number;
  readonly last: number;
  readonly manifests: number;
  readonly made: number;
  readonly withdrawn: number;
}

export const factoryExport = command({
  words: 'factory export',
  about: "Write the line's manifest: every certificate that it made or withdrew, signed by its key.",
  more: [
    'It holds what came after the last export, unless --since says otherwise; --since 0 exports all.',
    'The server takes what it has already for what it is, so that nothing is lost by exporting it again.',
    'One that tells of no certificate counts too: it says that there was none until then.',
  ],
  options: {
    ...factoryData,
    since: wholeNumber('N', 'the last entry of the log that the server has; manifest list at the server shows it', 0),
    output: short('o', required(text('FILE', 'where to write it; never overwrites'))),
  },
  common: factoryCommon,
  call: (given, session): Promise<Exported> =>
    atFactoryOf(given, session, async (at) => {
      const file = resolve(given.output);
      const exported = await withWholeFile(file, async (write) => {
        const { since, last } = await at('beginExport', { since: given.since ?? null });
        const sum = { manifests: 0, made: 0, withdrawn: 0 };
        for (let done = since; done < last; sum.manifests += 1) {
          const manifest = await at('makeManifest', { first: done + 1, last });
          write(`${manifest.jws}\n`);
          done = manifest.last;
          sum.made += manifest.made;
          sum.withdrawn += manifest.withdrawn;
        }
        return { file, since, last, ...sum };
      });
      await at('endExport', { last: exported.last });
      return exported;
    }),
  print: ({ file, since, last, made, withdrawn }) =>
    sentences(
      made + withdrawn === 0
        ? `No certificate was made or withdrawn after entry ${since} of the log, and ${file} says so.`
        : `${file} tells of ${made} certificate(s) made and ${withdrawn} withdrawn.`,
      `It ends with entry ${last}: the next export begins after it, or with --since ${last}.`,
    ),
});
