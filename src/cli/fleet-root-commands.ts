// `fleet-root …`: the Fleet Root CAs that an account trusts, their intermediates, and what it distrusts.

import { resolve } from 'node:path';
import type {
  ChangesJson,
  DistrustedKeyJson,
  FleetRootCaJson,
  RegisteredFleetRootCaJson,
  TrustSetJson,
} from '../operator/schemas.ts';
import { account } from './account-commands.ts';
import { at } from './client.ts';
import { command } from './command.ts';
import { withNewFile } from './new-file.ts';
import { noted, type Page, sentences, sheet, table } from './page.ts';
import { choice, file, required, short, text } from './parameters.ts';

const ca = text('CA', "the Fleet Root CA's ID, name or SHA-256");

const caPage = (shown: FleetRootCaJson): Page =>
  sheet({
    name: shown.name,
    id: shown.id,
    kind: shown.kind,
    state: shown.state,
    admit: shown.admit,
    ...(shown.signed !== null && { signed: shown.signed, counts: shown.counts }),
    'SHA-256': shown.sha256,
    'not after': shown.not_after,
    devices: shown.devices,
    successor: shown.successor,
    certificates: shown.certificates.map(
      (each) => `${each.role} ${each.subject} until ${each.not_after}, SHA-256 ${each.sha256}`,
    ),
  });

/** With a note where what was asked for counts only once the account's owner has signed it. */
const orWaiting = (page: Page, { waiting }: { waiting: boolean }, given: { account: string }): Page =>
  waiting
    ? noted(
        page,
        `This waits for the owner's signature: \`fleetroot fleet-root changes ${given.account} -o FILE\` writes what is to be signed.`,
      )
    : page;

/** One of the three commands that set the state of a Fleet Root CA. */
const stateCommand = (word: 'activate' | 'close' | 'disable', about: string, consequence: string | null) =>
  command({
    words: `fleet-root ${word}`,
    about,
    arguments: { account, ca },
    ...(consequence && {
      confirm: {
        erases: false,
        question: (given: { account: string; ca: string }) =>
          `${consequence} the Fleet Root CA ${given.ca} of ${given.account}?`,
      },
    }),
    weighed: 'fleet',
    call: (given, { api }) =>
      api.post<FleetRootCaJson>(at`/accounts/${given.account}/fleet-root-cas/${given.ca}/${word}`),
    print: (changed, given) =>
      orWaiting(
        sentences(`The Fleet Root CA ${changed.name} is ${changed.state}; it has ${changed.devices} device(s).`),
        changed,
        given,
      ),
  });

export const fleetRootCommands = [
  command({
    words: 'fleet-root register',
    about: 'Trust a CA for device certificates: its certificate alone, never its key.',
    more: [
      'PEM or DER. Of several certificates the first is the trust anchor, the others its intermediates.',
      'A further certificate of a CA that is there (renewed, cross-signed) is added to it.',
    ],
    arguments: { account, certificate: file('FILE', "the CA's certificate") },
    options: { name: text('NAME', 'how to call it; its common name unless given') },
    call: (given, { api }) =>
      api.post<RegisteredFleetRootCaJson>(
        at`/accounts/${given.account}/fleet-root-cas` + (given.name === undefined ? '' : at`?name=${given.name}`),
        given.certificate,
      ),
    print: (registered, given) => {
      const { name, id, added, intermediates, not_after } = registered;
      const said = sentences(
        added === 'new'
          ? `The Fleet Root CA ${name} (${id}) is registered; it is valid until ${not_after}.`
          : `The Fleet Root CA ${name} (${id}) was there and has one more certificate; it is valid until ${not_after}.`,
        ...(intermediates > 0
          ? [`The first certificate of the file is the trust anchor, the other ${intermediates} its intermediates.`]
          : []),
      );
      return orWaiting(said, registered, given);
    },
  }),
  command({
    words: 'fleet-root list',
    about: 'List the Fleet Root CAs of an account.',
    arguments: { account },
    call: (given, { api }) => api.list<FleetRootCaJson>(at`/accounts/${given.account}/fleet-root-cas`),
    print: (cas, given) =>
      table(
        cas,
        `The account ${given.account} has no Fleet Root CA, so no device gets in: \`fleetroot fleet-root register\` adds one.`,
        {
          name: (row) => row.name,
          kind: (row) => row.kind,
          state: (row) => row.state,
          admit: (row) => row.admit,
          ...(cas.some((row) => row.counts !== null) && { counts: (row) => row.counts }),
          devices: (row) => row.devices,
          'not after': (row) => row.not_after,
          id: (row) => row.id,
          'sha-256': (row) => row.sha256,
        },
      ),
  }),
  command({
    words: 'fleet-root show',
    about: 'Show a Fleet Root CA with its certificates and intermediates.',
    arguments: { account, ca },
    call: (given, { api }) => api.get<FleetRootCaJson>(at`/accounts/${given.account}/fleet-root-cas/${given.ca}`),
    print: caPage,
  }),
  stateCommand('activate', 'Take newcomers under a Fleet Root CA (again).', null),
  stateCommand(
    'close',
    'Take no more newcomers under a Fleet Root CA; those known go on.',
    'Take no more newcomers under',
  ),
  stateCommand('disable', 'Shut out every device under a Fleet Root CA at once.', 'Shut out every device under'),
  command({
    words: 'fleet-root set',
    about: 'Set what lets certificates under a Fleet Root CA in: their chain, or only a manifest that holds them.',
    more: [
      'By the chain (the default), whatever leads to the CA gets in, as the account has it for newcomers.',
      'By manifest, a certificate gets in only where `manifest import` has brought a manifest that holds it: what is made',
      'with the stolen key of a factory line does not.',
    ],
    arguments: { account, ca },
    options: { admit: required(choice(['chain', 'manifest'], 'what lets certificates in')) },
    weighed: 'fleet',
    call: (given, { api }) =>
      api.patch<FleetRootCaJson>(at`/accounts/${given.account}/fleet-root-cas/${given.ca}`, { admit: given.admit }),
    print: ({ name, admit }) =>
      sentences(
        admit === 'manifest'
          ? `Under the Fleet Root CA ${name} only those certificates get in that a manifest holds.`
          : `Under the Fleet Root CA ${name} certificates get in by their chain.`,
      ),
  }),
  command({
    words: 'fleet-root add-intermediate',
    about: 'Keep an intermediate certificate, for devices that send their leaf alone.',
    arguments: { account, ca, certificate: file('FILE', "the intermediate's certificate") },
    call: (given, { api }) =>
      api.post<FleetRootCaJson>(
        at`/accounts/${given.account}/fleet-root-cas/${given.ca}/intermediates`,
        given.certificate,
      ),
    print: caPage,
  }),
  command({
    words: 'fleet-root distrust',
    about: 'Shut out the public key of a CA certificate, and every device whose path contains it.',
    arguments: { account, certificate: file('FILE', 'its certificate') },
    confirm: {
      erases: false,
      question: (given) => `Shut out every device of ${given.account} whose path contains this certificate's key?`,
    },
    weighed: 'fleet',
    call: (given, { api }) =>
      api.post<DistrustedKeyJson>(at`/accounts/${given.account}/distrusted-keys`, given.certificate),
    print: ({ public_key_sha256 }) =>
      sentences(`No path that contains the public key ${public_key_sha256} counts any more.`),
  }),
  command({
    words: 'fleet-root trust',
    about: 'Take back `fleet-root distrust`.',
    arguments: { account, certificate: file('FILE', 'its certificate') },
    call: (given, { api }) =>
      api.post<DistrustedKeyJson>(at`/accounts/${given.account}/distrusted-keys/remove`, given.certificate),
    print: (key, given) =>
      key.waiting
        ? orWaiting(sentences(`The public key ${key.public_key_sha256} stays distrusted for now.`), key, given)
        : sentences(`The public key ${key.public_key_sha256} is no longer distrusted.`),
  }),
  command({
    words: 'fleet-root successor',
    about: 'Let the devices of one Fleet Root CA come back under another: the ordinary roll-over.',
    arguments: {
      account,
      old: text('OLD', 'the Fleet Root CA that they are under'),
      new: text('NEW', 'the one under which they may come'),
    },
    weighed: 'fleet',
    call: (given, { api }) =>
      api.post<FleetRootCaJson>(at`/accounts/${given.account}/fleet-root-cas/${given.old}/successor`, {
        successor: given.new,
      }),
    print: (old, given) =>
      sentences(`The ${old.devices} device(s) of ${old.name} may come back with certificates under ${given.new}.`),
  }),
  command({
    words: 'fleet-root changes',
    about: "Write what the account's owner is to sign: whom it shall trust from now on.",
    more: [
      'For accounts that were made with an owner key. The file is a text to be read before it is signed, as it is:',
      '  openssl dgst -sha256 -sign owner.key -out FILE.sig FILE               (P-256; -sha384 for P-384)',
      '  openssl pkeyutl -sign -rawin -inkey owner.key -in FILE -out FILE.sig  (Ed25519)',
    ],
    arguments: { account },
    options: { output: short('o', required(text('FILE', 'where to write it; never overwrites'))) },
    call: (given, { api }) =>
      withNewFile(resolve(given.output), async (write) => {
        const { document, ...changes } = await api.get<ChangesJson>(at`/accounts/${given.account}/trust-sets/next`);
        if (document !== null) write(document);
        return { ...changes, file: document === null ? null : resolve(given.output) };
      }),
    print: ({ file: written, number, sha256, differences }, given) =>
      written === null
        ? sentences(`There is nothing to sign: what ${given.account} is to trust is what its owner has signed.`)
        : noted(
            sentences(
              `${written} is written: set ${number}, SHA-256 ${sha256}. Signed, it changes:`,
              ...differences.map(({ change, what }) => `  ${change.padEnd(8)}  ${what}`),
            ),
            `Next: have it read and signed, then \`fleetroot fleet-root apply ${given.account} FILE FILE.sig\`.`,
          ),
  }),
  command({
    words: 'fleet-root apply',
    about: 'Let what the owner has signed count; what it no longer trusts loses its connections at once.',
    arguments: {
      account,
      document: file('FILE', 'what `fleet-root changes` wrote'),
      signature: file('FILE.sig', "the owner's signature over it"),
    },
    weighed: 'fleet',
    call: (given, { api }) =>
      api.post<TrustSetJson>(at`/accounts/${given.account}/trust-sets`, {
        document: Buffer.from(given.document).toString('base64'),
        signature: Buffer.from(given.signature).toString('base64'),
      }),
    print: ({ number, sha256, narrowed }, given) =>
      sentences(
        `Set ${number} of ${given.account} counts now, SHA-256 ${sha256}.`,
        ...(narrowed.length > 0 ? [`${narrowed.length} narrowing(s) made since stay in force.`] : []),
      ),
  }),
];
