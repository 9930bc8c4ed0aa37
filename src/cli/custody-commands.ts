// `custody …`: the keys that the server holds, and the master key over them.

import type { CustodyCheckJson, KeyDetailsJson, KeyJson, MovedKeyJson } from '../operator/key-schemas.ts';
import type { RotatedJson } from '../operator/schemas.ts';
import { at } from './client.ts';
import { command } from './command.ts';
import { noted, type Page, sentences, sheet, table } from './page.ts';
import { choice, optional, required, text } from './parameters.ts';

const key = text('KEY', 'its ID, or the SHA-256 of its public key');

/** Whose a key is, as a person says it. */
const accountOf = ({ account, account_name }: KeyJson): string =>
  account === '' ? 'the server' : (account_name ?? `${account} (deleted)`);

/** What a key is for. */
function useOf({ used_by, purpose }: KeyJson): string {
  const what = purpose
    .replace('fleet-root-ca', 'Fleet Root CA')
    .replace('-ca', ' CA')
    .replace(/^audit$/, 'audit log');
  if (used_by === null) return what;
  return [what, used_by.name, used_by.state && `(${used_by.state})`].filter(Boolean).join(' ');
}

const keySheet = (shown: KeyDetailsJson): Page =>
  sheet({
    id: shown.id,
    account: accountOf(shown),
    'used by': useOf(shown),
    custodian: shown.custodian,
    'key type': shown.key_type,
    exportable: shown.exportable,
    state: shown.state,
    'public key SHA-256': shown.public_key_sha256,
    created: shown.created_at,
    events: shown.events.map(({ at: when, event, custodian }) => `${when} ${event}, in ${custodian}`),
  });

/** What a check found: how many are well, and each that is not with its reason. */
function findings({ custodians, keys }: CustodyCheckJson): Page {
  const failing = [
    ...custodians.map(({ custodian, ...found }) => ({ what: `custodian ${custodian}`, ...found })),
    ...keys.map((row) => ({ what: `key ${row.id} of ${accountOf(row)}, ${useOf(row)}, in ${row.custodian}`, ...row })),
  ].filter(({ fault }) => fault !== null);
  const good = keys.filter(({ fault }) => fault === null).length;
  const page = sentences(
    `${good} of ${keys.length} key(s) sign, in ${custodians.map(({ custodian }) => custodian).join(', ')}.`,
    ...failing.map(({ what, fault, reason }) => `${what}: ${fault}: ${reason}`),
  );
  return failing.length === 0 ? page : noted(page, 'error: not every custodian and key is well');
}

export const custodyCommands = [
  command({
    words: 'custody list',
    about: 'List the private keys of all CAs here: whose they are, where each lies, whether it may be given out.',
    options: {
      custodian: text('NAME', 'those in this custodian alone'),
      account: text('ACCOUNT', 'those of this account alone; one that is deleted by its UUID'),
    },
    call: (given, { api }) => {
      const query = Object.entries({ custodian: given.custodian, account: given.account })
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => `${name}=${encodeURIComponent(value!)}`);
      return api.list<KeyJson>(['/custody/keys', ...(query.length > 0 ? [query.join('&')] : [])].join('?'));
    },
    print: (keys) =>
      table(keys, 'There are no keys.', {
        account: accountOf,
        'used by': useOf,
        custodian: (row) => row.custodian,
        type: (row) => row.key_type,
        exportable: (row) => row.exportable,
        state: (row) => row.state,
        created: (row) => row.created_at,
        id: (row) => row.id,
      }),
  }),
  command({
    words: 'custody show',
    about: 'Show a private key: what it is for, where it lies, and what has happened to it.',
    arguments: { key },
    call: (given, { api }) => api.get<KeyDetailsJson>(at`/custody/keys/${given.key}`),
    print: keySheet,
  }),
  command({
    words: 'custody check',
    about: 'Sign and verify with every key, or one, and name each that fails.',
    more: ['Ends with 1 where one does. What is signed is a random text and no certificate.'],
    arguments: { key: optional(key) },
    call: (given, { api }) => api.post<CustodyCheckJson>('/custody/check', { key: given.key }),
    print: findings,
    exitCode: ({ ok }) => (ok ? 0 : 1),
  }),
  command({
    words: 'custody move',
    about: 'Move a key that may be given out to another custodian; its copy here is destroyed once the new one signs.',
    more: ['Devices are provisioned meanwhile. There it is never given out unless it is moved with --exportable yes.'],
    arguments: { key },
    options: {
      to: required(text('NAME', 'the custodian that is to hold it, such as vault')),
      exportable: choice(
        ['yes', 'no'],
        'whether it may be given out there too, which not every custodian does; else no',
      ),
    },
    confirm: {
      erases: true,
      question: (given) =>
        given.exportable === 'yes'
          ? `Move the key ${given.key} to ${given.to}, and destroy it where it is?`
          : `Move the key ${given.key} to ${given.to}, from where it is never given out again, and destroy it where it is?`,
    },
    call: (given, { api }) =>
      api.post<MovedKeyJson>(at`/custody/keys/${given.key}/move`, {
        to: given.to,
        exportable: given.exportable === 'yes',
      }),
    print: ({ id, custodian, moved_from }) => {
      const said = sentences(
        `The key ${id} lies in ${custodian} now, and signs there; its copy in ${moved_from} is destroyed.`,
      );
      if (moved_from !== 'software') return said;
      return noted(
        said,
        'Backups made before hold it, sealed under the master key of their day: `custody rotate-master`, then let them go.',
      );
    },
  }),
  command({
    words: 'custody rotate-master',
    about: 'Put everything that is sealed under a new master key, while the server serves.',
    more: [
      'A master key in a file is replaced there. For any other configure custody.next_… first: docs/the-master-key.md.',
      'Where it is interrupted, the server goes on with it at its next start.',
    ],
    call: (_, { api }) => api.post<RotatedJson>('/custody/rotate-master'),
    print: ({ values, place, setting }) =>
      noted(
        sentences(
          `${values} sealed value(s) lie under the new master key now, which is ${place}.`,
          ...(setting === null
            ? []
            : [
                `Now have ${setting.replace('.next_', '.')} say what ${setting} says, and take that out, with the setting or the file of the old master key.`,
              ]),
        ),
        'Back it up now. The old one opens nothing here any more, only backups of the registry that were made before.',
      ),
  }),
];
