// `allow-list …`: the device IDs that may join where the admission policy is `allow-list`.

import type { AllowedDeviceJson, AllowListCountsJson, ImportedJson } from '../operator/fleet-schemas.ts';
import type { RemovedJson } from '../operator/schemas.ts';
import { account } from './account-commands.ts';
import { at, queryOf } from './client.ts';
import { command } from './command.ts';
import { noted, sentences, sheet, table } from './page.ts';
import { file, flag, repeated, text } from './parameters.ts';

/** What came of an import, or would. */
type Imported = ImportedJson & { readonly kept: boolean };

export const allowListCommands = [
  command({
    words: 'allow-list import',
    about: 'Add device IDs from a file: one a line, or CSV.',
    more: [
      'Of CSV the column device_id counts, else the first. Lines that are empty or begin with # are passed over.',
      'Where CSV has a column device_id, the others are labels of the device, by their heads; a repeat changes them.',
      'Rows that are wrong are passed over and told of; the exit code is then 1.',
    ],
    arguments: { account, content: file('FILE', 'text or CSV, UTF-8') },
    options: {
      'all-or-nothing': flag('import nothing where a row is wrong'),
      'dry-run': flag('say what would come of it, and import nothing'),
    },
    call: async (given, { api }): Promise<Imported> => {
      const path = at`/accounts/${given.account}/allow-list`;
      const allOrNothing = given['all-or-nothing'];
      if (given['dry-run'] || allOrNothing) {
        // Only this answers with every row that is wrong where nothing is to be kept for one.
        const looked = await api.post<ImportedJson>(`${path}?dry_run=true`, given.content);
        if (given['dry-run'] || looked.faults_total > 0) return { ...looked, kept: false };
      }
      const query = allOrNothing ? '?all_or_nothing=true' : '';
      return { ...(await api.post<ImportedJson>(path + query, given.content)), kept: true };
    },
    print: ({ added, already, updated, faults, faults_total, kept }, given) => {
      const would = kept ? '' : 'would be ';
      const nothing = given['all-or-nothing'] && faults_total > 0 ? ['Nothing was imported.'] : [];
      return noted(
        sentences(
          ...(nothing.length > 0
            ? nothing
            : [
                `${added} device ID(s) ${would}added; ${already} had been there${
                  updated > 0 ? `, of which ${updated} ${kept ? 'have' : 'would have'} other labels now` : ''
                }.`,
              ]),
        ),
        [
          ...faults.map(({ line, fault }) => `line ${line}: ${fault}`),
          ...(faults_total > faults.length ? [`${faults_total - faults.length} row(s) more are wrong.`] : []),
        ].join('\n'),
      );
    },
    exitCode: ({ faults_total }) => (faults_total > 0 ? 1 : 0),
  }),
  command({
    words: 'allow-list list',
    about: 'List the device IDs that may join, and the devices that have.',
    arguments: { account },
    options: { 'never-seen': flag('those whose device never connected, or never joined') },
    call: (given, { api }) =>
      api.list<AllowedDeviceJson>(
        at`/accounts/${given.account}/allow-list` + queryOf({ seen: given['never-seen'] ? 'never' : undefined }),
      ),
    print: (allowed, given) =>
      table(
        allowed,
        given['never-seen'] ? `Every device of the list was seen.` : `The allow-list of ${given.account} is empty.`,
        {
          'device id': (row) => row.device_id,
          joined: (row) => row.device?.first_seen,
          'last seen': (row) => row.device?.last_seen,
          labels: (row) =>
            Object.entries(row.labels)
              .map(([name, value]) => `${name}=${value}`)
              .join(' '),
        },
      ),
  }),
  command({
    words: 'allow-list count',
    about: 'Count the device IDs that may join, those that have, and those never seen.',
    arguments: { account },
    call: (given, { api }) => api.get<AllowListCountsJson>(at`/accounts/${given.account}/allow-list/counts`),
    print: ({ entries, joined, never_seen }) => sheet({ 'device IDs': entries, joined, 'never seen': never_seen }),
  }),
  command({
    words: 'allow-list remove',
    about: 'Take device IDs from the allow-list; devices that have joined stay.',
    arguments: { account, devices: repeated(text('DEVICE', 'an exact device ID')) },
    weighed: 'fleet',
    call: (given, { api }) =>
      api.post<RemovedJson>(at`/accounts/${given.account}/allow-list/remove`, { device_ids: given.devices }),
    print: ({ removed }) => sentences(`${removed} device ID(s) removed.`),
  }),
];
