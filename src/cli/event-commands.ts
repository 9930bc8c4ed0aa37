// `event …`: what has happened, and what happens.

import type { EventJson } from '../operator/event-schemas.ts';
import { account } from './account-commands.ts';
import { at, queryOf } from './client.ts';
import { command, pointers } from './command.ts';
import { Failure } from './failure.ts';
import { type Page, sentences, table } from './page.ts';
import { optional, repeated, text, wholeNumber } from './parameters.ts';
import { printable } from './printable.ts';

const type = repeated(text('TYPE', 'only events of this type (docs/react-to-an-event.md)'));
const pathOf = (name: string | undefined): string => (name === undefined ? '/events' : at`/accounts/${name}/events`);
/** The Accept of a stream (HTML, "Server-sent events"). */
const streamType = 'text/event-stream';

const eventTable = (events: readonly EventJson[]): Page =>
  table(events, 'Nothing has happened.', {
    at: (row) => row.at,
    type: (row) => row.type,
    account: (row) => row.account,
    data: (row) => JSON.stringify(row.data),
    id: (row) => row.id,
  });

const typesOf = (types: readonly string[]): string | undefined => types.join(',') || undefined;

export const eventCommands = [
  command({
    words: 'event list',
    about: 'List what has happened in an account, or on the whole server, the latest first.',
    arguments: { account: optional(account) },
    options: {
      type,
      limit: wholeNumber('N', 'how many at the most; 100 unless given', 1, 10_000),
      after: text('ID', 'what came after this event instead, in its order'),
    },
    call: ({ account: name, type: types, limit, after }, { api }) =>
      // Whole pages, since those of other types are left out of each.
      api.list<EventJson>(pathOf(name) + queryOf({ types: typesOf(types), limit: 1_000, after }), limit ?? 100),
    print: eventTable,
  }),
  command({
    words: 'event follow',
    about: 'Print what happens in an account, or on the whole server, as it happens: a line of JSON each.',
    arguments: { account: optional(account) },
    options: { type, after: text('ID', 'begin after this event; with what happens now unless given') },
    common: pointers,
    call: async ({ account: name, type: types, after }, { api, terminal }) => {
      let read = '';
      const path = pathOf(name) + queryOf({ types: typesOf(types), after });
      for await (const piece of await api.stream(path, streamType)) {
        read += piece.toString('latin1');
        const blocks = read.split('\n\n');
        read = blocks.pop() ?? '';
        for (const block of blocks) {
          const line = lineOf(Buffer.from(block, 'latin1').toString('utf8'));
          if (line !== null) terminal.out(`${line}\n`);
        }
      }
      throw new Failure('the server has ended the stream');
    },
    print: () => sentences(),
  }),
];

/** What a block of the stream tells; null for a comment. A gap is told among the events: something is missing there. */
function lineOf(block: string): string | null {
  const [, data] = /^data: (.*)$/m.exec(block) ?? [];
  if (data === undefined) return null;
  return printable(/^event: gap$/m.test(block) ? JSON.stringify({ type: 'gap', ...JSON.parse(data) }) : data);
}
