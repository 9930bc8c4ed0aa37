// `account …`: accounts, their policies, hosts, files and gateway CAs.

import type { ReconciliationJson } from '../operator/manifest-schemas.ts';
import type { AccountJson, PolicyJson } from '../operator/schemas.ts';
import { at } from './client.ts';
import { command } from './command.ts';
import { UsageError } from './failure.ts';
import { noted, type Page, sentences, sheet, table } from './page.ts';
import { choice, duration, file, text } from './parameters.ts';

/** The account of every command that has one. */
export const account = text('ACCOUNT', "the account's name or UUID");

const host = text('NAME|IP', 'a DNS name or an IP address; no wildcards');
const entry = text('ENTRY', 'its name in credentials.zip, such as treehub.json');

function accountPage(shown: AccountJson, reconciled: ReconciliationJson | null = null): Page {
  return sheet({
    name: shown.name,
    id: shown.id,
    kind: shown.kind,
    'gateway URL': shown.gateway_url,
    hosts: shown.hosts,
    admission: shown.admission,
    rekey: shown.rekey,
    ...(shown.kind === 'test' && { 'key type': shown.key_type, validity: shown.validity }),
    'device ID pattern': shown.device_id_pattern,
    namespace: shown.namespace,
    'gateway CAs': shown.gateway_cas.map(
      (ca) => `${ca.state} until ${ca.not_after}, SHA-256 ${ca.sha256}, key: ${gatewayKeyOf(ca)}`,
    ),
    'Fleet Root CAs': shown.fleet_root_cas.map((ca) => `${ca.name} (${ca.kind}, ${ca.state}), ${ca.devices} device(s)`),
    'keys that sign devices': deviceIssuingKeys(shown),
    ...(shown.owner_key && ownerSheet(shown)),
    'distrusted keys': shown.distrusted_keys.map((key) => `${key.subject}, SHA-256 ${key.public_key_sha256}`),
    ...(reconciled !== null && reconciled.lines.length > 0 && { 'factory lines': factoryLine(reconciled) }),
    files: shown.files,
    created: shown.created_at,
  });
}

/** What its factory lines have made, and whether anybody came whom they did not make. */
function factoryLine({ made, seen, strangers }: ReconciliationJson): string {
  const unknown =
    strangers.count === 0 ? 'no stranger' : `${strangers.count} STRANGER(S): \`manifest reconcile\` shows them`;
  return `${made} made, ${seen} seen, ${unknown}`;
}

/** What its owner has signed, and what came since. */
function ownerSheet({ owner_key, trust_set }: AccountJson) {
  if (!owner_key || !trust_set) return {};
  const { number, sha256, accepted_at, narrowed, waiting, fault } = trust_set;
  return {
    'owner key': `${owner_key.algorithm}, SHA-256 ${owner_key.sha256}`,
    'signed set':
      number === 0 ? 'none yet: nobody is admitted' : `${number} of ${accepted_at ?? '-'}, SHA-256 ${sha256}`,
    'narrowed since': narrowed.map(
      (each) => `${each.kind} of ${each.fleet_root_ca ?? each.public_key_sha256} at ${each.at}`,
    ),
    ...(waiting && { waiting: "for the owner's signature: `fleet-root changes` writes what is to be signed" }),
    ...(fault && { fault: [fault.rule, fault.remedy] }),
  };
}

const gatewayKeyOf = ({ key_state, custodian }: AccountJson['gateway_cas'][number]): string =>
  key_state === 'erased' ? 'erased' : custodian;

/** A sentence where there is none: an empty list alone would leave open whether anybody has looked. */
function deviceIssuingKeys({ device_issuing_keys: keys }: AccountJson): string[] {
  if (keys.length === 0) return ['none: this server has no key that could sign a device certificate for this account'];
  return keys.map((key) => {
    const where = key.key_state === 'held' ? `in ${key.custodian}` : 'erased here, lies outside';
    const way = key.exportable ? 'may be given out' : 'is never given out';
    return `that of ${key.fleet_root_ca_name ?? 'no Fleet Root CA'}, ${where}, ${way}, key ${key.key_id}`;
  });
}

export const accountCommands = [
  command({
    words: 'account create',
    about: 'Make an account: its gateway CAs, its gateway certificate and, for a test account, a Fleet Root CA.',
    more: [
      'A test account (the default) may hand out provisioning keys and issue device certificates.',
      'A production account can never: it trusts the certificates of your own PKI.',
    ],
    arguments: { name: text('NAME', 'a-z, 0-9 and "-", at most 63 characters, not shaped like a UUID') },
    options: {
      kind: choice(['test', 'production'], 'fixed for good; test unless given'),
      exportable: choice(
        ['yes', 'no'],
        'whether the private keys of its CAs may ever be given out or moved, for good; else yes in software, no elsewhere',
      ),
      'owner-key': file(
        'FILE',
        'a public key or certificate: whom the account trusts counts only as its owner signs it',
      ),
    },
    call: ({ name, kind, exportable, 'owner-key': owner }, { api }) =>
      api.post<AccountJson>('/accounts', {
        name,
        kind,
        exportable: exportable && exportable === 'yes',
        owner_key: owner && Buffer.from(owner).toString('base64'),
      }),
    print: (made) =>
      noted(
        accountPage(made),
        made.kind === 'test'
          ? `Next: \`fleetroot credentials create ${made.name} -o credentials.zip\`.`
          : `Next: \`fleetroot fleet-root register ${made.name} FILE\` with the certificate of your own CA.`,
      ),
  }),
  command({
    words: 'account list',
    about: 'List the accounts.',
    call: (_, { api }) => api.list<AccountJson>('/accounts'),
    print: (accounts) =>
      table(accounts, 'There are no accounts yet: make one with `fleetroot account create NAME`.', {
        name: (row) => row.name,
        kind: (row) => row.kind,
        admission: (row) => row.admission,
        'gateway url': (row) => row.gateway_url,
        devices: (row) => row.fleet_root_cas.reduce((sum, ca) => sum + ca.devices, 0),
        id: (row) => row.id,
      }),
  }),
  command({
    words: 'account show',
    about:
      'Show an account: its policies, hosts and CAs, and every key here that could sign a device certificate for it.',
    arguments: { account },
    call: async (given, { api }) => ({
      shown: await api.get<AccountJson>(at`/accounts/${given.account}`),
      reconciled: await api.get<ReconciliationJson>(at`/accounts/${given.account}/reconciliation`),
    }),
    json: ({ shown }) => shown,
    print: ({ shown, reconciled }) => accountPage(shown, reconciled),
  }),
  command({
    words: 'account delete',
    about: 'Delete an account with its devices, its keys and all that is recorded of it.',
    arguments: { account },
    confirm: { erases: true, question: (given) => `Delete the account ${given.account} with everything in it?` },
    weighed: 'fleet',
    call: (given, { api }) => api.delete<AccountJson>(at`/accounts/${given.account}`),
    print: ({ name }) => sentences(`The account ${name} is deleted.`),
  }),
  command({
    words: 'account set',
    about: 'Change policies of an account; they hold from the next request on.',
    arguments: { account },
    options: {
      admission: choice(['automatic', 'approval', 'allow-list'], 'how newcomers get in'),
      rekey: choice(['accept', 'approve'], 'what happens when a known device comes with a new key'),
      'key-type': choice(['p256', 'p384', 'rsa2048', 'rsa3072'], 'of the device keys that the crypto service makes'),
      validity: duration('10y', 'of the device certificates that the crypto service issues'),
      'device-id-pattern': text('RE', 'what the whole device ID of a newcomer must match (RE2); "" for none'),
      namespace: text('NAMESPACE', 'sent to back ends as x-ats-namespace'),
    },
    check: ({ account: _, ...changes }) => {
      if (Object.values(changes).every((change) => change === undefined))
        throw new UsageError('nothing is to be changed');
    },
    weighed: 'fleet',
    call: (given, { api }) => {
      const pattern = given['device-id-pattern'];
      return api.patch<AccountJson>(at`/accounts/${given.account}`, {
        admission: given.admission,
        rekey: given.rekey,
        key_type: given['key-type'],
        validity: given.validity,
        device_id_pattern: pattern === '' ? null : pattern,
        namespace: given.namespace,
      } satisfies Partial<Record<keyof PolicyJson, unknown>>);
    },
    print: (shown) => accountPage(shown),
  }),
  command({
    words: 'account host add',
    about: 'Let devices reach the account by a further host; it goes into the gateway certificate.',
    arguments: { account, host },
    call: (given, { api }) => api.post<AccountJson>(at`/accounts/${given.account}/hosts`, { host: given.host }),
    print: ({ name, hosts }) => sentences(`The hosts of ${name} are ${hosts.join(', ')}.`),
  }),
  command({
    words: 'account host remove',
    about: 'Take a host from the account.',
    arguments: { account, host },
    confirm: { erases: false, question: (given) => `Take ${given.host} from the account ${given.account}?` },
    weighed: 'fleet',
    call: (given, { api }) => api.delete<AccountJson>(at`/accounts/${given.account}/hosts/${given.host}`),
    print: ({ name, hosts }) => sentences(`The hosts of ${name} are ${hosts.join(', ')}.`),
  }),
  command({
    words: 'account file set',
    about: 'Put a file of an update back end into every credentials.zip made from now on.',
    arguments: { account, entry, content: file('FILE', 'its content') },
    call: (given, { api }) => api.put<AccountJson>(at`/accounts/${given.account}/files/${given.entry}`, given.content),
    print: ({ name }, given) => sentences(`Every credentials.zip of ${name} made from now on carries ${given.entry}.`),
  }),
  command({
    words: 'account file remove',
    about: 'Leave a file of an update back end out again.',
    arguments: { account, entry },
    weighed: 'fleet',
    call: (given, { api }) => api.delete<AccountJson>(at`/accounts/${given.account}/files/${given.entry}`),
    print: ({ name }, given) => sentences(`No credentials.zip of ${name} made from now on carries ${given.entry}.`),
  }),
  command({
    words: 'account gateway-ca switch',
    about: 'Let the standby gateway CA sign from now on, and make the one so far retire.',
    more: ['Both are in every credentials.zip, so no device is stranded. For a gateway CA that is lost or stolen.'],
    arguments: { account },
    confirm: { erases: false, question: (given) => `Retire the active gateway CA of ${given.account} for good?` },
    weighed: 'fleet',
    call: (given, { api }) => api.post<AccountJson>(at`/accounts/${given.account}/gateway-cas/switch`),
    print: ({ name, gateway_cas }) => {
      const active = gateway_cas.find((ca) => ca.state === 'active');
      return sentences(`The gateway certificate of ${name} is now signed by the gateway CA ${active?.sha256 ?? '-'}.`);
    },
  }),
];
