// `credentials …` and `provisioning-key …`: credentials.zip and the shared credentials in it.

import { resolve } from 'node:path';
import type { CredentialsJson, ProvisioningKeyJson } from '../operator/schemas.ts';
import { account } from './account-commands.ts';
import { at } from './client.ts';
import { command } from './command.ts';
import { localConf } from './local-conf.ts';
import { withNewFile } from './new-file.ts';
import { type Page, sentences, sheet, table } from './page.ts';
import { instant, repeated, required, short, text, wholeNumber } from './parameters.ts';

const id = text('ID', "the provisioning key's ID");

/** What `credentials create` made, without the archive: that is in the file. */
interface Made extends Omit<CredentialsJson, 'zip'> {
  readonly file: string;
  readonly local_conf: readonly string[];
}

const keyPage = (key: ProvisioningKeyJson): Page =>
  sheet({
    id: key.id,
    description: key.description,
    state: key.state,
    'not after': key.not_after,
    uses: `${key.uses} of ${key.max_uses ?? 'any number'}`,
    'device ID pattern': key.device_id_pattern,
    networks: key.networks.length > 0 ? key.networks : 'any',
    created: key.created_at,
    disabled: key.disabled_at,
    devices: key.devices,
  });

export const credentialsCommands = [
  command({
    words: 'credentials create',
    about: 'Write a credentials.zip; for a test account with a new provisioning key in it.',
    more: [
      'The private key of a provisioning key is in this file alone: the server keeps no copy.',
      'For a production account the file has autoprov.url and server_ca.pem and no provisioning key.',
    ],
    arguments: { account },
    options: {
      output: short('o', required(text('FILE', 'where to write it; never overwrites'))),
      host: text('NAME|IP[:PORT]', 'what devices call: a host of the account; the last one added unless given'),
      description: text('TEXT', 'what the provisioning key is for'),
      expires: instant('90d', 'when the provisioning key expires; after a year unless given'),
      'max-uses': wholeNumber('N', 'how many devices it may make', 1),
      'device-id-pattern': text('RE', 'what the whole device ID must match (RE2)'),
      network: repeated(text('CIDR', 'from where it may be used, such as 10.1.0.0/16')),
    },
    call: async (given, { api }): Promise<Made> => {
      const path = resolve(given.output);
      const { zip: _, ...made } = await withNewFile(path, async (write) => {
        const credentials = await api.post<CredentialsJson>(at`/accounts/${given.account}/credentials`, {
          host: given.host,
          description: given.description,
          not_after: given.expires,
          max_uses: given['max-uses'],
          device_id_pattern: given['device-id-pattern'],
          networks: given.network.length > 0 ? given.network : undefined,
        });
        write(Buffer.from(credentials.zip, 'base64'));
        return credentials;
      });
      return { ...made, file: path, local_conf: localConf(path, made.entries) };
    },
    print: (made) =>
      sentences(
        `${made.file} is written; it holds ${made.entries.join(', ')}.`,
        made.provisioning_key
          ? `Devices provision themselves at ${made.autoprov_url} with the provisioning key ${made.provisioning_key.id} until ${made.provisioning_key.not_after}.`
          : `It holds no provisioning key: this is a production account. Devices bring certificates of your own PKI to ${made.autoprov_url}, and trust its server by server_ca.pem.`,
        '',
        'For Yocto with meta-updater, in conf/local.conf:',
        '',
        ...made.local_conf,
      ),
  }),
  command({
    words: 'provisioning-key list',
    about: 'List the provisioning keys of an account with their uses.',
    arguments: { account },
    call: (given, { api }) => api.list<ProvisioningKeyJson>(at`/accounts/${given.account}/provisioning-keys`),
    print: (keys, given) =>
      table(keys, `The account ${given.account} has no provisioning keys.`, {
        id: (row) => row.id,
        state: (row) => row.state,
        uses: (row) => row.uses,
        'max uses': (row) => row.max_uses,
        devices: (row) => row.device_count,
        'not after': (row) => row.not_after,
        description: (row) => row.description,
      }),
  }),
  command({
    words: 'provisioning-key show',
    about: 'Show a provisioning key and the devices that it made.',
    arguments: { account, id },
    call: (given, { api }) =>
      api.get<ProvisioningKeyJson>(at`/accounts/${given.account}/provisioning-keys/${given.id}`),
    print: keyPage,
  }),
  command({
    words: 'provisioning-key disable',
    about: 'Disable a provisioning key at once and for good; the devices that it made stay.',
    arguments: { account, id },
    confirm: { erases: false, question: (given) => `Disable the provisioning key ${given.id} for good?` },
    weighed: 'fleet',
    call: (given, { api }) =>
      api.post<ProvisioningKeyJson>(at`/accounts/${given.account}/provisioning-keys/${given.id}/disable`),
    print: (key) => sentences(`The provisioning key ${key.id} is disabled; it had been used ${key.uses} time(s).`),
  }),
];
