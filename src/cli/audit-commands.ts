// `audit …`: who did what; an export of the log, checkpoints over it, and the proof that a copy is whole.

import { createPublicKey } from 'node:crypto';
import { resolve } from 'node:path';
import type { AuditEntryJson, CheckpointJson } from '../operator/audit-schemas.ts';
import { account } from './account-commands.ts';
import { type Verification, verifyExport } from './audit-verify.ts';
import { at, queryOf } from './client.ts';
import { command } from './command.ts';
import { Failure, UsageError } from './failure.ts';
import { streamToNewFile, withNewFile } from './new-file.ts';
import { type Page, noted, sentences, table } from './page.ts';
import { optional, past, readFile, required, short, text, wholeNumber } from './parameters.ts';

const who = ({ by }: AuditEntryJson): string => `${by.kind} ${by.name}`;
const what = ({ object }: AuditEntryJson): string => `${object.kind} ${object.name ?? object.id}`;
const changed = ({ before, after }: AuditEntryJson): string => {
  const names = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})]);
  const value = (members: AuditEntryJson['before'], name: string) => JSON.stringify(members?.[name] ?? null);
  return [...names]
    .map((name) =>
      before === null || !(name in before)
        ? `${name}=${value(after, name)}`
        : `${name}: ${value(before, name)} -> ${value(after, name)}`,
    )
    .join(', ');
};

/** What a verification has found, in sentences. */
function verdict(found: Verification): Page {
  const { first_misfit: misfit, entries, checkpoints, confirmed_to: confirmed } = found;
  if (misfit !== null) {
    const before = misfit.number - 1;
    return noted(
      sentences(
        misfit.sentence,
        ...(before > 0 && entries >= before ? [`Entries 1 to ${before} fit each other.`] : []),
      ),
      'error: this is not the log as it was written',
    );
  }
  const page = sentences(
    `The ${entries} entries of the log ${found.log} fit each other.`,
    ...(confirmed > 0 ? [`The checkpoint of ${found.confirmed_at} confirms them up to entry ${confirmed}.`] : []),
    ...(confirmed > 0 && entries > confirmed
      ? [`Entries ${confirmed + 1} to ${entries} came after it: a later checkpoint will confirm them.`]
      : []),
  );
  if (checkpoints === 0) {
    return noted(
      page,
      'hint: whoever can write the whole file anew makes it fit: give --checkpoint with one that was kept elsewhere',
    );
  }
  if (!found.key_given) {
    return noted(
      page,
      `hint: the checkpoint was verified by the key that it names itself, ${found.public_key_sha256}: give --public-key with the one that you know`,
    );
  }
  return page;
}

export const auditCommands = [
  command({
    words: 'audit list',
    about: 'List what was done and what was refused, by whom, from where; the latest first.',
    more: ['Without ACCOUNT of the whole server. --json has the entries whole.'],
    arguments: { account: optional(account) },
    options: {
      by: text('WHO', "an operator's or token's name or ID, a device ID, or a kind such as provisioning_key"),
      action: text('ACTION', 'such as device.revoke, certificate.issue or api.refused'),
      object: text('NAME', 'what it was done to, by its name or ID'),
      certificate: text('FILE', 'the certificate (PEM or DER) that it is about: who had it made, when, on which key'),
      result: text('CODE', 'done, or the code of the problem for which it was refused'),
      since: past('24h', 'not before this instant, or no longer ago'),
      until: past('24h', 'before this instant, or longer ago'),
      limit: wholeNumber('N', 'how many at the most; 100 unless given', 1, 1_000_000),
    },
    check: (given) => {
      if (given.object !== undefined && given.certificate !== undefined)
        throw new UsageError('give either --object or --certificate');
    },
    call: async ({ account: name, limit = 100, certificate, ...given }, { api }) => {
      const object = certificate === undefined ? given.object : await tbsOf(certificate);
      const { action, result, since, until, by: actor } = given;
      const query = queryOf({ actor, action, object, result, since, until, limit: Math.min(limit, 1_000) });
      const path = name === undefined ? '/audit' : at`/accounts/${name}/audit`;
      return (await api.list<AuditEntryJson>(path + query, limit)).slice(0, limit);
    },
    print: (entries) =>
      table(entries, 'There is no such entry.', {
        at: (row) => row.at,
        number: (row) => row.number,
        by: who,
        from: (row) => row.by.address,
        action: (row) => row.action,
        object: what,
        result: (row) => row.result,
        change: changed,
      }),
  }),
  command({
    words: 'audit export',
    about: 'Write the whole log to a file, entry by entry as they are chained; audit verify reads it.',
    options: { output: short('o', required(text('FILE', 'where to write it; never overwrites'))) },
    call: async ({ output }, { api }) => {
      const path = resolve(output);
      let lines = 0;
      await streamToNewFile(
        path,
        () => api.stream('/audit/export', 'application/jsonl'),
        (piece) => {
          for (const octet of piece) if (octet === 10) lines += 1;
        },
      );
      return { file: path, entries: Math.max(0, lines - 1) };
    },
    print: ({ file, entries }) => sentences(`${file} is written; it holds ${entries} entries.`),
  }),
  command({
    words: 'audit checkpoint',
    about: 'Have the log signed as it is now; the server does so every hour and when it ends.',
    more: ['Keep checkpoints, and the public key, where whoever has the server has them not.'],
    options: {
      output: short('o', text('FILE', 'where to write it; never overwrites')),
      'public-key': text('FILE', 'where to write the public key (PEM) by which it is verified'),
    },
    call: async (given, { api }) => {
      const make = () => api.post<CheckpointJson>('/audit/checkpoints');
      const { output } = given;
      const checkpoint =
        output === undefined
          ? await make()
          : await withNewFile(resolve(output), async (write) => {
              const made = await make();
              write(`${JSON.stringify(made)}\n`);
              return made;
            });
      const keyFile = given['public-key'];
      if (keyFile !== undefined) await withNewFile(resolve(keyFile), async (write) => write(publicKeyOf(checkpoint)));
      return checkpoint;
    },
    print: ({ number, at: when, log }, { output }) =>
      sentences(
        `The log ${log} is signed up to entry ${number}, at ${when}.`,
        ...(output === undefined ? [] : [`The checkpoint is in ${output}: keep it elsewhere.`]),
      ),
  }),
  command({
    words: 'audit verify',
    about:
      'Prove a copy of the log, without a server: exit code 0 if all fits, 1 if not, with the first entry that does not.',
    more: ['The checkpoint file may be what the server appended to, messages of syslog, or bodies of webhooks.'],
    arguments: { file: text('FILE', 'as audit export wrote it') },
    options: {
      checkpoint: text('FILE', 'checkpoints that were kept elsewhere'),
      'public-key': text('FILE', 'the public key (PEM) that they are to be signed by'),
    },
    common: ['data', 'json'],
    check: (given) => {
      if (given['public-key'] !== undefined && given.checkpoint === undefined)
        throw new UsageError('--public-key verifies a checkpoint: give --checkpoint too');
    },
    call: (given) => verifyExport(given.file, given.checkpoint ?? null, given['public-key'] ?? null),
    print: verdict,
    exitCode: ({ ok }) => (ok ? 0 : 1),
  }),
];

function publicKeyOf({ public_key }: CheckpointJson): string {
  const key = createPublicKey({ key: Buffer.from(public_key, 'base64'), format: 'der', type: 'spki' });
  return key.export({ format: 'pem', type: 'spki' });
}

/** What the log knows a certificate by. Loaded here, since no other command of these needs X.509. */
async function tbsOf(path: string): Promise<string> {
  const { CertificateError, parseCertificates } = await import('../x509/certificate.ts');
  try {
    return parseCertificates(readFile(path))[0]!.tbsSha256;
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    throw new Failure(`${path} holds no certificate: ${error.message}`);
  }
}
