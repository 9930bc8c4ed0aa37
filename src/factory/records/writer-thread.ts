// The thread that writes a factory's records: its writes, its migrations, and its log.

import { runCommitThread } from '../../registry/commit-thread.ts';
import type { Tx } from '../../registry/database.ts';
import { appendToLog } from './log.ts';
import * as factory from './migrations/0001-factory.ts';
import type { FactoryTx } from './tables.ts';
import { writes } from './writes.ts';

await runCommitThread({
  writes,
  migrations: [factory],
  // The same transaction, with the tables that are really there.
  keep: (tx: Tx, audited) => appendToLog(tx as unknown as FactoryTx, audited),
});
