// Private keys of CAs in files: given out under a passphrase, erased here, taken in again.

import { resolve } from 'node:path';
import type { ExportedKeyJson } from '../operator/key-schemas.ts';
import type { AccountJson } from '../operator/schemas.ts';
import { Secret } from '../secret.ts';
import { isEncrypted, readPrivateKey } from '../x509/pkcs8.ts';
import { account } from './account-commands.ts';
import { at } from './client.ts';
import { command, type Session } from './command.ts';
import { Failure } from './failure.ts';
import { withNewFile } from './new-file.ts';
import { sentences } from './page.ts';
import { newPassphrase, passphraseOf } from './passphrase.ts';
import { readFile, required, short, text } from './parameters.ts';

/** An exported key, without the key: that is in the file. */
interface Exported extends Omit<ExportedKeyJson, 'private_key'> {
  readonly file: string;
}

const ritual = [
  'The file is PKCS#8, encrypted under a passphrase that is asked for twice: at the terminal without an echo, else as two',
  'lines of stdin. It is never an argument, an option or a variable. Only a key that may be given out is, and that it was',
  'stays recorded: `custody show`.',
];

const output = short('o', required(text('FILE', 'where to write it; never overwrites')));

/** Asks for the passphrase, then the server for the key; nothing is asked of the server before the file can be written. */
function exportTo(given: { output: string }, path: string, { api, terminal }: Session): Promise<Exported> {
  const file = resolve(given.output);
  return withNewFile(file, async (write) => {
    using passphrase = await newPassphrase(terminal);
    const { private_key, ...exported } = await api.post<ExportedKeyJson>(path, {
      passphrase: passphrase.reveal().toString('utf8'),
    });
    write(private_key);
    return { ...exported, file };
  });
}

export const fleetRootKeyCommands = [
  command({
    words: 'fleet-root export',
    about: 'Give out the private key of a generated Fleet Root CA, encrypted.',
    more: [...ritual, 'The key of a registered Fleet Root CA was never here.'],
    arguments: { account, ca: text('CA', "the Fleet Root CA's ID, name or SHA-256") },
    options: { output },
    confirm: {
      erases: true,
      question: (given) =>
        `Give out the private key of the Fleet Root CA ${given.ca}? Whoever has the file and the passphrase can make devices of ${given.account}.`,
    },
    call: (given, session) =>
      exportTo(given, at`/accounts/${given.account}/fleet-root-cas/${given.ca}/export`, session),
    print: ({ file, key }, given) =>
      sentences(
        `${file} is written: the private key of the Fleet Root CA ${given.ca}, key ${key}, encrypted under your passphrase.`,
        `Whoever has both can make devices of ${given.account}. That it was given out is recorded: \`custody show ${key}\`.`,
      ),
  }),
];

export const gatewayCaKeyCommands = [
  command({
    words: 'account gateway-ca export',
    about: 'Give out the private key of the standby gateway CA, encrypted.',
    more: [
      ...ritual,
      'With `account gateway-ca erase` after it, a theft of this server does not take both gateway CAs.',
    ],
    arguments: { account },
    options: { output },
    confirm: {
      erases: true,
      question: (given) =>
        `Give out the private key of the standby gateway CA of ${given.account}? Whoever has the file and the passphrase can pose as its gateway to every device.`,
    },
    call: (given, session) => exportTo(given, at`/accounts/${given.account}/gateway-cas/standby/export`, session),
    print: ({ file, key }, given) =>
      sentences(
        `${file} is written: the private key of the standby gateway CA of ${given.account}, key ${key}, encrypted under your passphrase.`,
        'Try the file before you erase the key here: `openssl pkey -in FILE -noout` asks for the passphrase.',
      ),
  }),
  command({
    words: 'account gateway-ca erase',
    about: 'Erase the private key of the standby gateway CA here; it must have been exported.',
    more: ['Until it is imported, `account gateway-ca switch` does nothing. Everything else goes on.'],
    arguments: { account },
    confirm: {
      erases: true,
      question: (given) =>
        `Erase the private key of the standby gateway CA of ${given.account} here? Without its file and passphrase it is lost for good.`,
    },
    weighed: 'fleet',
    call: (given, { api }) => api.post<AccountJson>(at`/accounts/${given.account}/gateway-cas/standby/erase`),
    print: ({ name, gateway_cas }) => {
      const standby = gateway_cas.find(({ state }) => state === 'standby');
      return sentences(
        `The private key of the standby gateway CA of ${name} is erased here; \`account gateway-ca import\` brings it back.`,
        ...(standby?.custodian === 'software'
          ? [
              'Backups made before hold it, sealed under the master key of their day: `custody rotate-master`, then let them go.',
            ]
          : []),
      );
    },
  }),
  command({
    words: 'account gateway-ca import',
    about: 'Take in the private key of the standby gateway CA again, for `account gateway-ca switch`.',
    more: [
      'PKCS#8, PKCS#1 or SEC 1, PEM or DER, encrypted or not. The passphrase is asked for at the terminal without an echo, or',
      'is a line of stdin.',
    ],
    arguments: { account, file: text('FILE', 'the private key, as `account gateway-ca export` or openssl wrote it') },
    call: async (given, { api, terminal }) => {
      using privateKey = await privateKeyIn(given.file, terminal);
      return await api.post<AccountJson>(
        at`/accounts/${given.account}/gateway-cas/standby/import`,
        privateKey.reveal(),
      );
    },
    print: ({ name, gateway_cas }) => {
      const standby = gateway_cas.find(({ state }) => state === 'standby');
      return sentences(
        `The private key of the standby gateway CA of ${name} is here again, in ${standby?.custodian ?? '-'}, and signs.`,
      );
    },
  }),
];

/** The private key (PKCS#8, DER) in a file. Its passphrase stays in this process. Throws Failure. */
async function privateKeyIn(path: string, terminal: Session['terminal']): Promise<Secret> {
  using content = new Secret(readFile(path));
  using passphrase = isEncrypted(content.reveal()) ? await passphraseOf(terminal, path) : null;
  const found = readPrivateKey(content.reveal(), passphrase?.reveal() ?? null);
  if (Buffer.isBuffer(found)) return new Secret(found);
  throw found === 'no_key'
    ? new Failure(`${path} holds no private key`, 'PKCS#8, PKCS#1 or SEC 1, as PEM or DER')
    : new Failure(`the passphrase does not open ${path}`);
}
