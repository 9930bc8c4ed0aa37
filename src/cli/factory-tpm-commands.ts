// `factory tpm-root …`: whose TPMs count where an order wants the proof of one.

import type { TpmRootShown } from '../factory/tpm/roots.ts';
import { atFactoryOf, factoryCommon, factoryData } from './at-factory.ts';
import { command } from './command.ts';
import { type Page, sentences, table } from './page.ts';
import { file, text } from './parameters.ts';

const rootTable = (roots: readonly TpmRootShown[]): Page =>
  table(roots, 'There is no root of a TPM maker: no proof can hold.', {
    'SHA-256': (row) => row.sha256,
    subject: (row) => row.subject,
    'not after': (row) => row.not_after,
    added: (row) => row.added_at,
  });

export const factoryTpmRootCommands = [
  command({
    words: 'factory tpm-root add',
    about: "Pin the root of a TPM maker, so that its TPMs' proofs count.",
    more: [
      'PEM or DER, with one CA or several: roots, or issuing CAs below them. Each is trusted for itself, so look at the',
      "maker's site where it comes from. Devices send the intermediates between one of these and their TPM's certificate.",
    ],
    arguments: { roots: file('FILE', 'certificates of TPM makers') },
    options: factoryData,
    common: factoryCommon,
    call: ({ roots, ...given }, session) =>
      atFactoryOf(given, session, (at) => at('addTpmRoots', { file: Buffer.from(roots).toString('base64') })),
    print: rootTable,
  }),
  command({
    words: 'factory tpm-root list',
    about: 'List the roots of TPM makers that are pinned.',
    options: factoryData,
    common: factoryCommon,
    call: (given, session) => atFactoryOf(given, session, (at) => at('listTpmRoots', {})),
    print: rootTable,
  }),
  command({
    words: 'factory tpm-root remove',
    about: 'Remove the root of a TPM maker; what was proved before stays as it is.',
    arguments: { sha256: text('SHA-256', 'of its certificate, as `factory tpm-root list` shows it') },
    options: factoryData,
    common: factoryCommon,
    call: async ({ sha256, ...given }, session) => {
      await atFactoryOf(given, session, (at) => at('removeTpmRoot', { sha256 }));
      return { sha256 };
    },
    print: ({ sha256 }) => sentences(`Proofs of TPMs under ${sha256} do not hold any more.`),
  }),
];
