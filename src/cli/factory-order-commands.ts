// `factory order …`, `factory window …` and `factory rework`: what the line makes, and when.

import type { OrderJson, WindowJson } from '../factory/order-actions.ts';
import { atFactoryOf, factoryCommon, factoryData } from './at-factory.ts';
import { command } from './command.ts';
import { Failure } from './failure.ts';
import { type Page, sentences, sheet, table } from './page.ts';
import { choice, file, flag, required, text, wholeNumber } from './parameters.ts';

const proofs = ['station', 'tpm'] as const;
const proofOption = choice(proofs, 'what a request must prove: that a station asks, or that a TPM holds the key');
const orderName = text('ORDER', "the order's name");
const most = 1_000_000_000;

const orderSheet = ({ name, batch, proof, devices, made, withdrawn, left, created_at }: OrderJson): Page =>
  sheet({ order: name, batch, proof, 'device IDs': devices ?? 'any', made, withdrawn, left, created: created_at });

const windowTable = (windows: readonly WindowJson[], empty: string): Page =>
  table(windows, empty, {
    id: (row) => row.id,
    order: (row) => row.order,
    state: (row) => row.state,
    used: (row) => `${row.used} of ${row.quota}`,
    station: (row) => row.station ?? 'any',
    closes: (row) => row.closed_at ?? row.closes_at,
    'opened by': (row) => row.opened_by,
  });

/** What is wrong with a list is told line by line. */
async function devicesOf(bytes: Uint8Array | undefined): Promise<string[] | null> {
  if (bytes === undefined) return null;
  const { readDeviceIdList } = await import('../factory/device-id-list.ts');
  return readDeviceIdList(bytes);
}

const orderCommands = [
  command({
    words: 'factory order add',
    about: 'Add an order: what is made for somebody.',
    more: [
      'With --device-ids only those on the list are made: one ID a line, or CSV, of which the column device_id counts,',
      'else the first. Lines that are empty or begin with # are passed over; where one is wrong, nothing is done.',
    ],
    arguments: { name: text('ORDER', 'its name: letters, digits, dots, hyphens, underscores') },
    options: {
      ...factoryData,
      batch: text('BATCH', 'the batch that its devices belong to'),
      proof: proofOption,
      'device-ids': file('FILE', 'the device IDs that it is for, UTF-8'),
    },
    common: factoryCommon,
    call: async ({ name, batch = null, proof = 'station', ...given }, session) => {
      const devices = await devicesOf(given['device-ids']);
      return atFactoryOf(given, session, (at) => at('addOrder', { name, batch, proof, devices }));
    },
    print: ({ name, devices }) =>
      sentences(`The order ${name} is there${devices === null ? '' : `, for ${devices} device ID(s)`}.`),
  }),
  command({
    words: 'factory order list',
    about: 'List the orders: what is made, withdrawn, and left of their lists.',
    options: factoryData,
    common: factoryCommon,
    call: (given, session) => atFactoryOf(given, session, (at) => at('listOrders', {})),
    print: (orders) =>
      table(orders, 'There is no order yet.', {
        order: (row) => row.name,
        batch: (row) => row.batch,
        proof: (row) => row.proof,
        'device ids': (row) => row.devices ?? 'any',
        made: (row) => row.made,
        withdrawn: (row) => row.withdrawn,
        left: (row) => row.left,
      }),
  }),
  command({
    words: 'factory order show',
    about: 'Show an order.',
    arguments: { order: orderName },
    options: { ...factoryData, 'not-made': flag('list the device IDs that are not made yet, one a line') },
    common: factoryCommon,
    call: async ({ order: name, ...given }, session) => {
      const order = await atFactoryOf(given, session, (at) => at('showOrder', { name }));
      if (!given['not-made'] || order.not_made !== null) return order;
      throw new Failure(`The order ${name} has no list of device IDs: it takes any.`);
    },
    print: (order, given) => (given['not-made'] ? sentences(...(order.not_made ?? [])) : orderSheet(order)),
  }),
];

const windowCommands = [
  command({
    words: 'factory window open',
    about: 'Let an order be made, for a time and a number of devices; it closes by itself.',
    more: ['An order that is not there is made by this, with --batch and --proof as `factory order add` takes them.'],
    options: {
      ...factoryData,
      order: required(orderName),
      quota: required(wholeNumber('N', 'how many devices: distinct keys', 1, most)),
      for: required(text('8h', 'how long, 31 days at the most')),
      station: text('STATION', 'the one station that it is for; any unless given'),
      batch: text('BATCH', "the order's batch"),
      proof: choice(proofs, "the order's proof"),
    },
    common: factoryCommon,
    call: ({ order, quota, for: lasts, station = null, batch = null, proof = null, ...given }, session) =>
      atFactoryOf(given, session, (at) => at('openWindow', { order, quota, lasts, station, batch, proof })),
    print: ({ id, order, quota, closes_at, order_made }) =>
      sentences(
        ...(order_made ? [`There was no order ${order}: it is there now.`] : []),
        `The window ${id} is open for ${quota} device(s) of the order ${order}, until ${closes_at}.`,
      ),
  }),
  command({
    words: 'factory window close',
    about: 'Close a window before its end.',
    arguments: { id: text('ID', "the window's ID") },
    options: factoryData,
    common: factoryCommon,
    call: ({ id, ...given }, session) => atFactoryOf(given, session, (at) => at('closeWindow', { id })),
    print: ({ order, used, quota }) =>
      sentences(`The window is closed: ${used} of ${quota} device(s) of the order ${order} were made in it.`),
  }),
  command({
    words: 'factory window list',
    about: 'List the windows that are open.',
    options: { ...factoryData, all: flag('those that were, too: the latest 1,000') },
    common: factoryCommon,
    call: ({ all, ...given }, session) => atFactoryOf(given, session, (at) => at('listWindows', { all })),
    print: (windows, { all }) => windowTable(windows, all ? 'No window was opened yet.' : 'No window is open.'),
  }),
];

export const factoryOrderCommands = [
  ...orderCommands,
  ...windowCommands,
  command({
    words: 'factory rework',
    about: 'Withdraw the certificate of a device that is made anew, so that a new key of it is certified.',
    more: ['The key that it had is never certified again.'],
    arguments: { device: text('DEVICE', 'its device ID') },
    options: factoryData,
    common: factoryCommon,
    confirm: { erases: true, question: ({ device }) => `Withdraw the certificate of ${device} for good?` },
    call: ({ device, ...given }, session) => atFactoryOf(given, session, (at) => at('rework', { device_id: device })),
    print: ({ device_id, serial }) =>
      sentences(`The certificate ${serial} of ${device_id} is withdrawn: a new key may be certified.`),
  }),
];
