// `factory sign-batch`: requests that came across the gap, answered all at once.

import { resolve } from 'node:path';
import type { BatchResult } from '../factory/batch-signing.ts';
import { atFactoryOf, factoryCommon, factoryData } from './at-factory.ts';
import { command } from './command.ts';
import { Failure } from './failure.ts';
import { noted, sentences } from './page.ts';
import { file, reasonOf, required, short, text } from './parameters.ts';

export const signBatch = command({
  words: 'factory sign-batch',
  about: 'Answer a directory or archive of requests: a certificate or a reason for each, and a report.',
  more: [
    'Archives are tar, plain or gzipped; requests are PKCS#10 as PEM, DER or base64, one a file, of 64 KiB at the most.',
    'What is written is an archive where its name ends in .tgz, .tar.gz or .tar, else a directory.',
    'A repeat gives the same certificates again. Where a request is refused, the exit code is 1.',
    'A station signs so: openssl dgst -sha256 -sign station.key -out requests.sig requests.tgz',
    'Without a signature you say whose batch it is, and the log says that you did.',
  ],
  arguments: { requests: text('REQUESTS', 'the archive or directory') },
  options: {
    output: short('o', required(text('FILE', 'where to write it; never overwrites'))),
    order: text('ORDER', 'the order that it is for (else that of the open window)'),
    station: text('STATION', 'whose batch it is (else whoever signed it, or the one station that there is)'),
    signature: file('FILE', "the station's signature over the archive"),
    ...factoryData,
  },
  common: factoryCommon,
  call: async (given, session): Promise<BatchResult & { readonly output: string }> => {
    // Loaded here, since no command of the server needs the factory's code.
    const { signBatchFile } = await import('../factory/batch-signing.ts');
    const output = resolve(given.output);
    const { order = null, station = null } = given;
    const signature = given.signature === undefined ? null : Buffer.from(given.signature);
    const path = resolve(given.requests);
    try {
      const result = await atFactoryOf(given, session, (at) =>
        signBatchFile(at, { path, output, order, station, signature }),
      );
      return { ...result, output };
    } catch (error) {
      const { path: where } = error as NodeJS.ErrnoException;
      if (where === undefined) throw error;
      throw new Failure(`cannot use ${where}: ${reasonOf(error)}`, null, { cause: error });
    }
  },
  print: ({ issued, same, refused, refusals, output, station, signed }) =>
    noted(
      sentences(
        `${issued} issued, ${same} the same as before, ${refused} refused, for the station "${station}"${
          signed ? ', which has signed the batch' : ''
        }.`,
        `${output} has them, and a report of each.`,
      ),
      [
        ...refusals.map(({ name, sentence }) => `${name}: ${sentence}`),
        ...(refused > refusals.length ? [`${refused - refusals.length} more are refused; the report says why.`] : []),
      ].join('\n'),
    ),
  exitCode: ({ refused }) => (refused > 0 ? 1 : 0),
});
