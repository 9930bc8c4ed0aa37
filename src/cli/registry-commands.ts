// The registry as a whole, without a server: moved from its file to PostgreSQL.

import { command } from './command.ts';
import { sentences } from './page.ts';
import { text } from './parameters.ts';

export const registryCommands = [
  command({
    words: 'registry move',
    about:
      'Carry the registry of a data directory over to an empty PostgreSQL database, verified; no server runs meanwhile.',
    more: [
      'Killed or cut off, it goes on where it was when it is asked for once more. A server begins on neither before it is done,',
      'and on the file no more afterwards. Who can list processes sees --to: set FLEETROOT_DATABASE_URL instead.',
    ],
    options: {
      to: text('postgres://…', 'the database; that of database.url unless given'),
      config: text('FILE', 'another configuration file than fleetroot.toml in the data directory'),
    },
    common: ['data', 'json'],
    call: async (given, { dataDir, env, terminal }) => {
      // Loaded here, since no other command needs it.
      const { moveToPostgres } = await import('../server/registry-move.ts');
      const tables = await moveToPostgres({
        dataDir,
        to: given.to ?? null,
        configFile: given.config ?? null,
        env,
        heard: (table) => terminal.look && terminal.err(`${table}\n`),
      });
      return { data: dataDir, tables };
    },
    print: ({ data, tables }) =>
      sentences(
        `The registry of ${data} is in PostgreSQL: ${tables.reduce((sum, { rows }) => sum + rows, 0)} rows of ${tables.length} tables, each the same there, and its audit log is whole.`,
        'Set database.url, and start the server on the same directory: master.key and owner-trust.json stay in it.',
      ),
  }),
];
