// `refusal list` and `explain`: who was turned away, who would be, and why.

import type { ExplanationJson, RefusalJson } from '../operator/schemas.ts';
import { account } from './account-commands.ts';
import { at, queryOf } from './client.ts';
import { command } from './command.ts';
import { UsageError } from './failure.ts';
import { type Page, pages, sentences, sheet } from './page.ts';
import { flag, optional, past, readFile, repeated, text, wholeNumber } from './parameters.ts';

const notAdmitted = 1;

function refusalPage(refusals: readonly RefusalJson[]): Page {
  if (refusals.length === 0) return { out: '', note: 'Nobody was turned away.' };
  return pages(
    ...refusals.map(({ at: last, first_at, count, code, device_id, address, sni, rule, remedy }) =>
      sentences(
        `${last}  ${code}${count > 1 ? `, ${count} times since ${first_at}` : ''}`,
        `  device ID ${device_id ?? '-'}, address ${address ?? '-'}, SNI ${sni ?? '-'}`,
        `  ${rule}`,
        `  ${remedy}`,
      ),
    ),
  );
}

export const refusalCommands = [
  command({
    words: 'refusal list',
    about: 'List who was turned away, the latest first, by which rule, and what to do about it.',
    usage: ['refusal list ACCOUNT [filters]', 'refusal list --unassigned [filters]'],
    arguments: { account: optional(account) },
    options: {
      unassigned: flag('connections that belong to no account'),
      code: text('CODE', 'those with this code'),
      device: text('DEVICE', 'those that claimed this device ID'),
      address: text('IP', 'those from this address'),
      since: past('7d', 'those whose last time was then or later'),
      until: past('1d', 'those whose last time was before'),
      limit: wholeNumber('N', 'how many at the most', 1),
    },
    check: (given) => {
      if (given.unassigned === (given.account !== undefined))
        throw new UsageError('give either ACCOUNT or --unassigned');
    },
    call: async (given, { api }) => {
      const { code, device, address, since, until, limit } = given;
      const query = queryOf({
        code,
        device_id: device,
        address,
        since,
        until,
        limit: limit !== undefined && limit < 1_000 ? limit : undefined,
      });
      const path = given.account === undefined ? '/refusals' : at`/accounts/${given.account}/refusals`;
      return (await api.list<RefusalJson>(path + query, limit)).slice(0, limit);
    },
    print: refusalPage,
  }),
];

export const explain = command({
  words: 'explain',
  about: 'Say whether certificates would get in, as whom, or why not; exit code 0 if they would, 1 if not.',
  more: [
    'By the very rules of the device gateway; nothing is connected or recorded.',
    'With --root no server is needed: a chain is checked against these Fleet Root CAs alone.',
  ],
  usage: ['explain ACCOUNT CHAIN.pem', 'explain --root R.crt… CHAIN.pem'],
  arguments: { words: repeated(text('CHAIN.pem', 'the certificates, the leaf first; PEM or DER')) },
  options: { root: repeated(text('R.crt', 'a Fleet Root CA certificate, with its intermediates after it')) },
  check: ({ words, root }) => {
    if (root.length === 0 && words.length !== 2)
      throw new UsageError('give ACCOUNT and CHAIN.pem, or --root and CHAIN.pem');
  },
  call: async ({ words, root }, { api, now }): Promise<ExplanationJson> => {
    const chain = readFile(words.at(-1)!);
    if (root.length === 0) return api.post<ExplanationJson>(at`/accounts/${words[0]!}/explain`, chain);
    // Loaded here, since no other command needs X.509.
    const { explainOffline } = await import('../provisioning/device-identity.ts');
    return explainOffline([...root, ...words.slice(0, -1)].map(readFile), chain, now);
  },
  print: (explanation) =>
    explanation.admitted
      ? sentences(
          `Admitted${explanation.device_id === null ? '' : ` as ${explanation.device_id}`}` +
            `${explanation.fleet_root_ca === null ? '' : ` under the Fleet Root CA ${explanation.fleet_root_ca}`}.`,
        )
      : sheet({
          refused: explanation.code,
          'device ID': explanation.device_id,
          rule: explanation.rule,
          remedy: explanation.remedy,
        }),
  exitCode: ({ admitted }) => (admitted ? 0 : notAdmitted),
});
