// `allow-list …`: the device IDs that may join where the admission policy is `allow-list`.

import type { AllowedDeviceJson, ImportedJson, RemovedJson } from '../operator/schemas.ts';
import { account } from './account-commands.ts';
import { at } from './client.ts';
import { command } from './command.ts';
import { sentences, table } from './page.ts';
import { file, repeated, text } from './parameters.ts';

export const allowListCommands = [
  command({
    words: 'allow-list import',
    about: 'Add device IDs from a file: one a line, or CSV.',
    more: ['Of CSV the column device_id counts, else the first. Lines that are empty or begin with # are passed over.'],
    arguments: { account, content: file('FILE', 'text or CSV, UTF-8') },
    call: (given, { api }) => api.post<ImportedJson>(at`/accounts/${given.account}/allow-list`, given.content),
    print: ({ added, already }) => sentences(`${added} device ID(s) added; ${already} had been there.`),
  }),
  command({
    words: 'allow-list list',
    about: 'List the device IDs that may join.',
    arguments: { account },
    call: (given, { api }) => api.list<AllowedDeviceJson>(at`/accounts/${given.account}/allow-list`),
    print: (allowed, given) =>
      table(allowed, `The allow-list of ${given.account} is empty.`, {
        'device id': (row) => row.device_id,
      }),
  }),
  command({
    words: 'allow-list remove',
    about: 'Take device IDs from the allow-list; devices that have joined stay.',
    arguments: { account, devices: repeated(text('DEVICE', 'an exact device ID')) },
    call: (given, { api }) =>
      api.post<RemovedJson>(at`/accounts/${given.account}/allow-list/remove`, { device_ids: given.devices }),
    print: ({ removed }) => sentences(`${removed} device ID(s) removed.`),
  }),
];
