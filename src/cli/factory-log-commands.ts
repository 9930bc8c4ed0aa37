// `factory status`, `factory certificate …`, `factory log …` and `factory clock …`: what the line has done, and how it stands.

import { resolve } from 'node:path';
import type { CertificateDetailJson, CertificateJson, EntryJson } from '../factory/log-actions.ts';
import type { FactoryStatus } from '../factory/status.ts';
import { atFactoryOf, factoryCommon, factoryData } from './at-factory.ts';
import { command } from './command.ts';
import { withNewFile } from './new-file.ts';
import { noted, type Page, pages, sentences, sheet, table } from './page.ts';
import { flag, required, short, text, textFile, wholeNumber } from './parameters.ts';

const limitOption = wholeNumber('N', 'how many at the most; 100 unless given', 1, 1_000);

const who = (by: EntryJson['by'] | null): string | null =>
  by && `${by.kind} ${by.name}${by.address === null ? '' : ` at ${by.address}`}`;

const certificateTable = (rows: readonly CertificateJson[]): Page =>
  table(rows, 'There is no such certificate.', {
    'device id': (row) => row.device_id,
    made: (row) => row.made_at,
    order: (row) => row.order,
    station: (row) => row.station,
    evidence: (row) => row.evidence.kind,
    ends: (row) => row.not_after,
    withdrawn: (row) => row.withdrawn_at,
  });

const certificateSheet = (shown: CertificateDetailJson): Page =>
  sheet({
    'device ID': shown.device_id,
    state: shown.state,
    serial: shown.serial,
    'TBSCertificate (SHA-256)': shown.tbs_sha256,
    'public key (SHA-256)': shown.public_key_sha256,
    'valid from': shown.not_before,
    'valid until': shown.not_after,
    order: shown.order,
    batch: shown.batch,
    window: shown.window,
    mandate: shown.mandate,
    station: shown.station,
    evidence:
      shown.evidence.kind === 'tpm' ? `tpm, endorsement key ${shown.evidence.ek_sha256}` : 'a station asked, no more',
    made: shown.made_at,
    'made by': who(shown.made_by),
    withdrawn: shown.withdrawn_at,
    'withdrawn by': who(shown.withdrawn_by),
  });

function statusPage({ line, mandates, windows, alarms, ...counts }: FactoryStatus): Page {
  const page = pages(
    sheet({
      line: line?.name,
      site: line?.site,
      "the line's key": line && `${line.custodian}, ${line.key_sha256}`,
      "the CA's end": line?.ca?.not_after,
      made: counts.made,
      'made today': counts.made_today,
      'log entries': counts.log.entries,
    }),
    table(mandates, '', {
      mandate: (row) => row.id,
      state: (row) => row.state,
      used: (row) => `${row.used} of ${row.quota}`,
      ends: (row) => row.not_after,
      pattern: (row) => row.device_id_pattern,
      order: (row) => row.order ?? 'any',
    }),
    table(windows, '', {
      window: (row) => row.id,
      order: (row) => row.order,
      used: (row) => `${row.used} of ${row.quota}`,
      station: (row) => row.station ?? 'any',
      closes: (row) => row.closes_at,
    }),
  );
  return alarms.length === 0
    ? page
    : noted(
        page,
        alarms.map(({ level, message }) => `alarm${level === 'stops' ? ' (stops)' : ''}: ${message}`).join('\n'),
      );
}

const certificateCommands = [
  command({
    words: 'factory certificate list',
    about: 'List the certificates that the line has made, the latest first.',
    options: {
      ...factoryData,
      order: text('ORDER', 'those of this order'),
      withdrawn: flag('those that were withdrawn'),
      limit: limitOption,
    },
    common: factoryCommon,
    call: ({ order = null, withdrawn, limit = 100, ...given }, session) =>
      atFactoryOf(given, session, (at) => at('listCertificates', { order, withdrawn, limit })),
    print: certificateTable,
  }),
  command({
    words: 'factory certificate show',
    about:
      'Show the certificates of a device: who had them made, when, in which window, by which mandate, on what evidence.',
    arguments: { id: text('DEVICE|SHA256', 'its device ID, or the SHA-256 of a TBSCertificate') },
    options: {
      ...factoryData,
      output: short('o', text('FILE', "where to write the latest with the line's CA (PEM); never overwrites")),
    },
    common: factoryCommon,
    call: async ({ id, output, ...given }, session) => {
      const shown = await atFactoryOf(given, session, (at) => at('showCertificates', { id }));
      if (output !== undefined) await withNewFile(resolve(output), async (write) => write(shown[0]!.certificates));
      return shown;
    },
    print: (shown) => pages(...shown.map(certificateSheet)),
  }),
];

const logCommands = [
  command({
    words: 'factory log list',
    about: 'List what was done at the factory, by whom; the latest first.',
    more: ['--json has the entries whole.'],
    options: {
      ...factoryData,
      action: text('ACTION', 'such as certificate.make, window.open or mandate.add'),
      object: text('ID', 'what it was done to: its ID, a device ID, the name of an order'),
      limit: limitOption,
    },
    common: factoryCommon,
    call: ({ action = null, object = null, limit = 100, ...given }, session) =>
      atFactoryOf(given, session, (at) => at('listLog', { action, object, limit })),
    print: (entries) =>
      table(entries, 'There is no such entry.', {
        number: (row) => row.number,
        at: (row) => row.at,
        by: (row) => who(row.by),
        action: (row) => row.action,
        object: (row) => `${row.object.kind} ${row.object.name ?? row.object.id}`,
      }),
  }),
  command({
    words: 'factory log verify',
    about: 'Prove that the log is whole and that the records say what it tells: exit code 0 if all fits, 1 if not.',
    options: {
      ...factoryData,
      head: textFile('FILE', 'heads that were kept elsewhere, as `factory log head` wrote them'),
    },
    common: factoryCommon,
    call: ({ head = '', ...given }, session) => atFactoryOf(given, session, (at) => at('verifyLog', { heads: head })),
    print: ({ fault, entries, log, made, withdrawn, confirmed_to: confirmed }, { head }) =>
      fault !== null
        ? noted(sentences(fault), 'error: this is not the log as it was written')
        : noted(
            sentences(
              `The ${entries} entries of the log ${log} fit each other and the records: ${made} made, ${withdrawn} withdrawn.`,
              ...(confirmed > 0 ? [`A head that was kept confirms them up to entry ${confirmed}.`] : []),
            ),
            head === undefined
              ? 'hint: a directory that was rolled back fits too: give --head with one that was kept elsewhere'
              : '',
          ),
    exitCode: ({ fault }) => (fault === null ? 0 : 1),
  }),
  command({
    words: 'factory log head',
    about: "Have the log's head signed by the line's key as it is now, to be kept elsewhere.",
    options: { ...factoryData, output: short('o', required(text('FILE', 'where to write it; never overwrites'))) },
    common: factoryCommon,
    call: ({ output, ...given }, session) =>
      withNewFile(resolve(output), async (write) => {
        const { jws, head } = await atFactoryOf(given, session, (at) => at('signHead', {}));
        write(`${jws}\n`);
        return { ...head, file: resolve(output) };
      }),
    print: ({ number, log, file }) =>
      sentences(`The log ${log} is signed up to entry ${number}. The head is in ${file}: keep it elsewhere.`),
  }),
];

export const factoryLogCommands = [
  command({
    words: 'factory status',
    about: 'Show how the factory stands: the line, its mandates, open windows, what was made, and alarms.',
    options: factoryData,
    common: factoryCommon,
    call: (given, session) => atFactoryOf(given, session, (at) => at('status', {})),
    print: statusPage,
  }),
  ...certificateCommands,
  ...logCommands,
  command({
    words: 'factory clock accept',
    about: 'Take the clock of this machine as right, though the log has entries of a later time.',
    more: [
      'A factory whose clock went back behind its log by more than ten minutes makes nothing: set the clock. This is for',
      'a log that was written by a clock ahead of time; the log tells who said so.',
    ],
    options: factoryData,
    common: factoryCommon,
    confirm: { erases: true, question: () => 'Is the clock of this machine right, and was it ahead before?' },
    call: (given, session) => atFactoryOf(given, session, (at) => at('acceptClock', {})),
    print: ({ latest }) => sentences(`The clock counts from now on; the log had seen ${latest}.`),
  }),
];
