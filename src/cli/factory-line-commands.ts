// `factory line …` and `factory mandate …`: the line where it stands, and what its Fleet Root lets it make.

import { resolve } from 'node:path';
import type { ShownLine, ShownMandate } from '../factory/line.ts';
import { atFactoryOf, factoryCommon, factoryData } from './at-factory.ts';
import { command } from './command.ts';
import { UsageError } from './failure.ts';
import { withNewFile } from './new-file.ts';
import { type Page, pages, sentences, sheet, table } from './page.ts';
import { choice, required, short, text, textFile } from './parameters.ts';

const lineSheet = ({ name, site, custodian, key_sha256, ca, root }: ShownLine): Page =>
  sheet({
    line: name,
    site,
    key: `p256, in ${custodian}`,
    'key SHA-256': key_sha256,
    CA: ca?.subject,
    'CA SHA-256': ca?.sha256,
    'CA until': ca?.not_after,
    'Fleet Root': root?.subject,
    'Fleet Root SHA-256': root?.sha256,
  });

const mandateTable = (mandates: readonly ShownMandate[]): Page => {
  const page = table(
    mandates,
    'The Fleet Root has given this line no mandate yet: `factory root sign-line`, then `factory line accept`.',
    {
      mandate: (row) => row.id,
      state: (row) => row.state,
      quota: (row) => row.quota,
      used: (row) => row.used,
      left: (row) => row.left,
      until: (row) => row.not_after,
      'device IDs': (row) => row.device_id_pattern,
      order: (row) => row.order ?? 'any',
    },
  );
  const faults = mandates.flatMap(({ fault }) => fault ?? []);
  return faults.length === 0 ? page : { ...page, note: faults.join('\n') };
};

/** As openssl and browsers show it, or bare. */
const sha256 = {
  ...text('SHA256', 'the SHA-256 of the root certificate that you expect, as `factory root create` showed it'),
  read: (given: string): string => {
    const digits = given.replaceAll(':', '').toLowerCase();
    if (/^[0-9a-f]{64}$/.test(digits)) return digits;
    throw new UsageError(`"${given}" is no SHA-256: 64 hexadecimal digits`);
  },
};

export const factoryLineCommands = [
  command({
    words: 'factory line request',
    about: "Make a line's key where the line is, and its request to the Fleet Root.",
    more: [
      'The key is P-256 and made once: asked again, the command gives a request of the same key. The request goes to the machine',
      'with the Fleet Root, for `factory root sign-line`; compare the SHA-256 of the key there.',
    ],
    options: {
      ...factoryData,
      name: required(text('NAME', "the line's name, which its CA bears")),
      site: text('SITE', 'where it stands; its devices are labelled with it'),
      custodian: choice(['software', 'pkcs11'], 'where its key is made (else as custody.default says)'),
      output: short('o', required(text('FILE', 'where to write the request, PEM; never overwrites'))),
    },
    common: factoryCommon,
    call: ({ name, site = null, custodian = null, output, ...given }, session) => {
      const file = resolve(output);
      return withNewFile(file, async (write) => {
        const asked = { name, site, custodian };
        const { request, ...made } = await atFactoryOf(given, session, (at) => at('requestLine', asked));
        write(request);
        return { ...made, file };
      });
    },
    print: ({ line, new_key, file }) =>
      pages(
        lineSheet(line),
        sentences(
          `${file} is written: a request of ${new_key ? 'a new key' : 'the key that the line has'}.`,
          'Where the Fleet Root is: `fleetroot factory root sign-line FILE --quota N --until TIME --device-id-pattern RE2 -o line.bundle`.',
        ),
      ),
  }),
  command({
    words: 'factory line accept',
    about: 'Take what the Fleet Root signed: the CA of this line the first time, and a mandate each time.',
    more: ['A mandate adds to those before it. All of the file is taken, or nothing.'],
    arguments: { bundle: textFile('BUNDLE', 'the file that `factory root sign-line` wrote') },
    options: { ...factoryData, 'root-sha256': sha256 },
    common: factoryCommon,
    call: ({ bundle, 'root-sha256': root_sha256 = null, ...given }, session) =>
      atFactoryOf(given, session, (at) => at('acceptBundle', { bundle, root_sha256 })),
    print: ({ line, mandate }, given) =>
      pages(
        lineSheet(line),
        sentences(
          `The line ${line.name} may make ${mandate.quota} more device(s) until ${mandate.not_after}, with device IDs like ${mandate.device_id_pattern}${mandate.order === null ? '' : `, for the order ${mandate.order}`}.`,
          ...(given['root-sha256'] === undefined
            ? ["Compare the Fleet Root's SHA-256 with what `factory root create` showed; --root-sha256 insists on it."]
            : []),
        ),
      ),
  }),
  command({
    words: 'factory line show',
    about: 'Show the line of a directory.',
    options: factoryData,
    common: factoryCommon,
    call: (given, session) => atFactoryOf(given, session, (at) => at('showLine', {})),
    print: lineSheet,
  }),
  command({
    words: 'factory mandate list',
    about: 'List the mandates of a line: what it may make, and how much is left.',
    options: factoryData,
    common: factoryCommon,
    call: (given, session) => atFactoryOf(given, session, (at) => at('listMandates', {})),
    print: mandateTable,
  }),
];
