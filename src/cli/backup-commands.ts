// Back-ups: made while the server serves, verified and restored without one; and what a restoration leaves to be done.

import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import type { BackupJson, RestorationJson } from '../operator/backup-schemas.ts';
import type { Key } from '../server/backup-file.ts';
import type { Restored } from '../server/restore.ts';
import { command } from './command.ts';
import { UsageError } from './failure.ts';
import { withWholeFile } from './new-file.ts';
import { noted, type Page, sentences } from './page.ts';
import { flag, readFile, repeated, text, textFile } from './parameters.ts';
import { newBackupPassphrase, passphraseOf } from './passphrase.ts';
import type { Terminal } from './terminal.ts';

/** A back-up that was made: what is in it, and the file. */
interface Made extends BackupJson {
  readonly file: string;
  readonly size: number;
  readonly sha256: string;
}

/** Octets that go to the disk at once, which is waited for each time. */
const octetsAtOnce = 8 * 1024 * 1024;

export const backup = command({
  words: 'backup',
  about: 'Write a back-up of the whole server, as it is now, to a file that is encrypted by age; the server goes on.',
  more: [
    'The master key is not in it: whoever can open it has the registry, and no private key. Keep the master key elsewhere:',
    'without it the back-up is worth nothing. With --with-master-key its file is in it too.',
    'On PostgreSQL the database has means of its own: docs/back-up.md.',
  ],
  arguments: { file: text('FILE', 'where to write it; never overwrites') },
  options: {
    recipient: repeated(text('age1…', 'who can open it, as `age-keygen` says; several times for several')),
    'recipients-file': textFile('FILE', 'a file with recipients, one a line'),
    passphrase: flag('encrypt it under a passphrase, asked for twice, and to no recipient'),
    'with-master-key': flag("put the master key's file into it"),
  },
  check: ({ recipient, passphrase, 'recipients-file': list }) => {
    if (passphrase !== (recipient.length === 0 && list === undefined)) {
      throw new UsageError('name --recipient or --recipients-file, or else --passphrase');
    }
  },
  call: async (given, { api, terminal }): Promise<Made> => {
    const recipients = [...given.recipient, ...linesOf(given['recipients-file'] ?? '')];
    const with_master_key = given['with-master-key'];
    const file = resolve(given.file);
    return withWholeFile(file, async (write) => {
      using passphrase = given.passphrase ? await newBackupPassphrase(terminal) : null;
      const lock = passphrase === null ? { recipients } : { passphrase: passphrase.reveal().toString('utf8') };
      const body = { ...lock, with_master_key };
      const { headers, content } = await api.download('/backups', 'application/vnd.age', body);
      const digest = createHash('sha256');
      let [size, waiting, octets]: [number, Buffer[], number] = [0, [], 0];
      for await (const piece of content) {
        digest.update(piece);
        size += piece.length;
        waiting.push(piece);
        octets += piece.length;
        if (octets < octetsAtOnce) continue;
        write(Buffer.concat(waiting));
        [waiting, octets] = [[], 0];
      }
      write(Buffer.concat(waiting));
      const manifest = JSON.parse(decodeURIComponent(String(headers['fleetroot-backup']))) as BackupJson;
      return { file, size, sha256: digest.digest('hex'), ...manifest };
    });
  },
  print: ({ file, size, sha256, made_at, accounts, devices, audit, keys, master_key: key }) => {
    const elsewhere = Object.entries(keys).filter(([custodian]) => custodian !== 'software');
    const page = sentences(
      `${file} is written: the registry as it was at ${made_at}, with ${accounts} account(s) and ${devices} device(s).`,
      `It has ${size} octets and the SHA-256 ${sha256}.`,
      ...(audit === null ? [] : [`Its audit log ends with entry ${audit.number}, ${audit.hash}.`]),
      key.included
        ? `The master key is in it: whoever opens it can use every private key that the registry holds.`
        : `The master key is not in it: it is ${key.place}, ID ${key.ids.join(' and ')}. Without it no private key in the back-up opens.`,
      ...elsewhere.map(([custodian, count]) => `${count} key(s) lie in ${custodian}, which has back-ups of its own.`),
    );
    return noted(page, 'What is done from now on is not in it: back up again after you revoke.');
  },
});

export const restore = command({
  words: 'restore',
  about: 'Make a data directory of a back-up, on a machine where no server runs on it; all of it is verified first.',
  more: [
    'The directory of --data must be empty or not there, and has nothing before all is verified: the file, the database, the',
    'audit log, and each sealed value under the master key. The user who runs the server restores.',
    'What was done after the back-up is not in it: devices revoked since are in again. /readyz says so until',
    '`restoration acknowledge`; `restoration show` says what there is to do.',
    'age says who can read a file, and not who wrote it: compare its SHA-256 with what `backup` said.',
  ],
  arguments: { file: text('FILE', 'as backup wrote it') },
  options: {
    identity: text(
      'KEYFILE',
      "age's identity (AGE-SECRET-KEY-1…) of one of its recipients; without it a passphrase is asked for",
    ),
    'master-key': text(
      'FILE',
      'the master key, or the passphrase that it is derived from, where the back-up has it not',
    ),
    config: text('FILE', 'a configuration that says where the master key and other custodians are'),
    check: flag('verify the back-up and restore nothing'),
  },
  common: ['data', 'json'],
  call: async (given, { dataDir, env, terminal }) => {
    const file = resolve(given.file);
    const key =
      given.identity === undefined ? await passphraseKey(terminal, file) : { identities: identitiesIn(given.identity) };
    // Loaded here, since no other command of these needs the server's code.
    const { restore: restoreTo } = await import('../server/restore.ts');
    const restored = await restoreTo({
      file,
      key,
      dataDir: given.check ? null : dataDir,
      masterKeyFile: given['master-key'] ?? null,
      configFile: given.config ?? null,
      env,
    });
    return { data: given.check ? null : dataDir, ...restored };
  },
  json: ({ data, manifest, sealedValues, masterKeyPlace, elsewhere, confirmedTo, limitedKeys }) => ({
    data,
    backup: manifest,
    sealed_values: sealedValues,
    master_key_place: masterKeyPlace,
    elsewhere,
    audit_confirmed_to: confirmedTo,
    limited_provisioning_keys: limitedKeys,
  }),
  print: restoredPage,
});

function restoredPage({ data, ...restored }: Restored & { readonly data: string | null }): Page {
  const { manifest, sealedValues, elsewhere, confirmedTo, limitedKeys } = restored;
  const { made_at, program, audit, files } = manifest;
  const has = (name: string) => files.some((each) => each.name === name);
  const found = [
    `The back-up of ${made_at}, made by Fleetroot ${program}, is whole: ${manifest.accounts} account(s), ${manifest.devices} device(s).`,
    `Its ${sealedValues} sealed value(s) open under the master key (${restored.masterKeyPlace}).`,
    ...elsewhere.map(({ custodian, keys, failing }) => {
      if (failing === null)
        return `${keys} key(s) lie in ${custodian}, which is not configured here: they were not tried.`;
      if (failing.count === 0) return `${keys} key(s) lie in ${custodian}, and each signs.`;
      return `${keys} key(s) lie in ${custodian}, and ${failing.count} of them do not sign: ${failing.reason}`;
    }),
    ...(audit === null
      ? []
      : [
          `The ${audit.number} entries of its audit log fit each other; its own checkpoints confirm them up to ${confirmedTo}.`,
        ]),
  ];
  if (data === null) return noted(sentences(...found), 'Nothing was restored: that was the check.');
  const lost = [
    `What was done after ${made_at} is not here: devices, certificates and tokens revoked since count again.`,
    ...(limitedKeys > 0
      ? [`${limitedKeys} provisioning key(s) with a limit may be used as often as they were since.`]
      : []),
    '`restoration show` says what there is to do, and `restoration acknowledge` ends what /readyz says of it.',
  ];
  return noted(
    sentences(
      ...found,
      `${data} is restored.`,
      ...(has('fleetroot.toml') ? [`Its settings are in fleetroot.toml there: look at them before you start.`] : []),
      ...(restored.masterKeyToPlace ? ['The master key is not in it: put it where the settings look for it.'] : []),
    ),
    lost.join('\n'),
  );
}

export const restorationCommands = [
  command({
    words: 'restoration show',
    about: 'Show whether this server came out of a back-up, and what that leaves to be done.',
    call: (_, { api }) => api.get<RestorationJson>('/restoration'),
    print: (found) => restorationPage(found),
  }),
  command({
    words: 'restoration acknowledge',
    about: 'Say that what a restoration brought back has been seen to; /readyz tells of it no more.',
    call: (_, { api }) => api.post<RestorationJson>('/restoration/acknowledge'),
    print: ({ restored_at }) => sentences(`The restoration of ${restored_at} is acknowledged.`),
  }),
];

function restorationPage({ restored_at, backup_made_at, audit_number, audit_hash }: RestorationJson): Page {
  if (restored_at === null) return sentences('There is no restoration that nobody has acknowledged.');
  return sentences(
    `This server was restored at ${restored_at} from a back-up of ${backup_made_at}.`,
    ...(audit_number === null ? [] : [`Its audit log goes on after entry ${audit_number}, ${audit_hash}.`]),
    'Revoke anew what was revoked since, devices, certificates, provisioning keys, tokens and operators: an export of the',
    'audit log, webhooks, or what was told to syslog have it.',
    'Look at the devices that come in as newcomers: some of them may have been revoked since.',
  );
}

/** What a file of age's holds: one a line, without comments. */
function linesOf(content: string): string[] {
  return content
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

function identitiesIn(path: string): string[] {
  const identities = linesOf(readFile(path).toString('utf8'));
  const form = /^AGE-SECRET-KEY-(PQ-)?1[0-9A-Z]+$/;
  if (identities.length > 0 && identities.every((identity) => form.test(identity))) return identities;
  throw new UsageError(
    `${path} is no file of identities of age`,
    '`age-keygen -o KEYFILE` makes one; one under a passphrase is opened by age -d first',
  );
}

async function passphraseKey(terminal: Terminal, file: string): Promise<Key> {
  using passphrase = await passphraseOf(terminal, file);
  return { passphrase: passphrase.reveal().toString('utf8') };
}
