// `device …` of many: lists by filters, counts, exports, and what is done to all that fit.

import { resolve } from 'node:path';
import type { BulkDoneJson, DeviceCountsJson, EcusJson } from '../operator/fleet-schemas.ts';
import type { DeviceJson } from '../operator/schemas.ts';
import { account } from './account-commands.ts';
import { at, queryOf } from './client.ts';
import { command, pointers } from './command.ts';
import { type Filter, filterOf, filterOptions } from './device-filter.ts';
import { UsageError } from './failure.ts';
import { streamToNewFile } from './new-file.ts';
import { pages, sentences, sheet, table } from './page.ts';
import { choice, flag, repeated, short, text, wholeNumber } from './parameters.ts';

const device = text('DEVICE', 'the exact device ID, or "uuid:" and the device UUID');

/** What is done to all that fit, and what is asked before. */
const bulkCommand = (
  word: 'suspend' | 'resume' | 'revoke',
  { about, asks, says }: { about: string; asks: string; says: string },
) =>
  command({
    words: `device ${word}-all`,
    about,
    more: ['A filter says which; every device of the account is meant by --all alone.'],
    arguments: { account },
    options: { ...filterOptions, all: flag('every device of the account') },
    check: (given) => {
      const filtered = Object.keys(filterOf(given)).length > 0;
      if (filtered === given.all) throw new UsageError('say which devices by a filter, or --all for every one');
    },
    confirm: { erases: word === 'revoke', question: (given) => `${asks} these devices of ${given.account}?` },
    weighed: 'fleet',
    call: (given, { api }) =>
      api.post<BulkDoneJson>(
        at`/accounts/${given.account}/devices/${word}`,
        given.all ? { all: true } : { filter: filterOf(given) },
      ),
    print: ({ changed }) => sentences(`${changed} device(s) ${says}.`),
  });

export const fleetCommands = [
  command({
    words: 'device list',
    about: 'List the devices of an account, all or those that fit.',
    arguments: { account },
    options: {
      ...filterOptions,
      sort: choice(['device_id', 'first_seen', 'last_seen', 'certificate_not_after'], 'by what they are sorted'),
      descending: flag('the other way round'),
      limit: wholeNumber('N', 'how many at the most', 1),
    },
    call: async (given, { api }) => {
      const { limit } = given;
      const query = queryOf({
        ...filterOf(given),
        sort: given.sort,
        order: given.descending ? 'desc' : undefined,
        limit: limit !== undefined && limit < 1_000 ? limit : undefined,
      });
      const devices = await api.list<DeviceJson>(at`/accounts/${given.account}/devices` + query, limit);
      return devices.slice(0, limit);
    },
    print: (devices, given) =>
      table(devices, emptyList(given.account, filterOf(given)), {
        'device id': (row) => row.device_id,
        state: (row) => row.state,
        method: (row) => row.method,
        'fleet root ca': (row) => row.fleet_root_ca_name,
        'certificate until': (row) => row.certificate_not_after,
        'last seen': (row) => row.last_seen,
        uuid: (row) => row.uuid,
      }),
  }),
  command({
    words: 'device count',
    about: 'Count the devices of an account, all or those that fit, by what they have in common.',
    arguments: { account },
    options: filterOptions,
    call: (given, { api }) =>
      api.get<DeviceCountsJson>(at`/accounts/${given.account}/device-counts` + queryOf(filterOf(given))),
    print: (counts) =>
      pages(
        sheet({
          devices: counts.devices,
          pending: counts.states.pending,
          active: counts.states.active,
          suspended: counts.states.suspended,
          revoked: counts.states.revoked,
          'with shared credentials': counts.methods.shared,
          'with device credentials': counts.methods.device,
          'seen in the last day': counts.seen_last_day,
          'never seen': counts.never_seen,
          'certificate expired': counts.expired,
          'certificate ends within 30 days': counts.expiring,
        }),
        table(counts.fleet_root_cas, 'It has no Fleet Root CAs.', {
          'fleet root ca': (row) => row.name,
          devices: (row) => row.devices,
        }),
        ...(counts.provisioning_keys.length === 0
          ? []
          : [
              table(counts.provisioning_keys, '', {
                'provisioning key': (row) => row.id,
                devices: (row) => row.devices,
              }),
            ]),
      ),
  }),
  command({
    words: 'device export',
    about: 'Write the devices of an account, all or those that fit, as CSV or as JSON, one device a line.',
    more: [
      'In CSV an ID that a spreadsheet would take for a formula has a quote before it; JSON has it as it is.',
      'Without -o it goes to stdout.',
    ],
    arguments: { account },
    options: {
      format: choice(['csv', 'jsonl'], 'csv unless given'),
      output: short('o', text('FILE', 'where to write it; never overwrites')),
      ...filterOptions,
    },
    common: pointers,
    call: async (given, { api, terminal }) => {
      const query = queryOf({ ...filterOf(given), format: given.format });
      const stream = () => api.stream(at`/accounts/${given.account}/device-export` + query, '*/*');
      if (given.output === undefined) {
        for await (const piece of await stream()) terminal.out(piece);
        return null;
      }
      const path = resolve(given.output);
      await streamToNewFile(path, stream);
      return path;
    },
    print: (path) => (path === null ? { out: '' } : sentences(`${path} is written.`)),
  }),
  bulkCommand('suspend', {
    about: 'Keep all devices that fit out until they are resumed.',
    asks: 'Keep out',
    says: 'are suspended now',
  }),
  bulkCommand('resume', {
    about: 'Let all suspended devices that fit in again.',
    asks: 'Let in again',
    says: 'are active again',
  }),
  bulkCommand('revoke', {
    about: 'Turn all devices that fit away for good, such as those that a leaked provisioning key made.',
    asks: 'Turn away for good',
    says: 'are revoked now',
  }),
  command({
    words: 'device label',
    about: 'Set labels of a device; with no value after the equals sign one is taken away.',
    arguments: { account, device, labels: repeated(text('NAME=VALUE', 'such as vin=WDB123')) },
    check: ({ labels }) => {
      const wrong = labels.find((label) => !label.includes('='));
      if (wrong !== undefined) throw new UsageError(`"${wrong}" is not NAME=VALUE`);
    },
    call: (given, { api }) => {
      const labels = given.labels.map((label): [string, string | null] => {
        const equals = label.indexOf('=');
        return [label.slice(0, equals), label.slice(equals + 1) || null];
      });
      return api.patch<DeviceJson>(at`/accounts/${given.account}/devices/${given.device}`, {
        labels: Object.fromEntries(labels),
      });
    },
    print: ({ device_id, labels }) =>
      sentences(
        `The device ${device_id} has ${
          Object.entries(labels)
            .map(([name, value]) => `${name}=${value}`)
            .join(', ') || 'no labels'
        }.`,
      ),
  }),
  command({
    words: 'device ecus',
    about: 'Show the ECUs that a device has reported.',
    arguments: { account, device },
    call: (given, { api }) => api.get<EcusJson>(at`/accounts/${given.account}/devices/${given.device}/ecus`),
    print: ({ ecus, raw }) =>
      raw === null
        ? table(ecus, 'It has reported no ECUs yet.', {
            'ecu serial': (row) => row.ecu_serial,
            'hardware id': (row) => row.hardware_identifier,
            primary: (row) => row.primary,
            'key type': (row) => row.key_type,
          })
        : sentences(raw),
  }),
];

function emptyList(named: string, filter: Filter): string {
  const { state, ...others } = filter;
  if (Object.keys(others).length > 0) return `No device of the account ${named} fits.`;
  return `The account ${named} has no ${Array.isArray(state) ? `${state.join(' or ')} ` : ''}devices.`;
}
