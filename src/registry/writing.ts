// What the registry writes and how: its writes by their names, its migrations, and what it keeps of what they note.

import type { Writing } from './commit-thread.ts';
import { migrations } from './migrations.ts';
import { insertAuditEntries, insertEvents } from './writer-notes.ts';
import { writes } from './writes.ts';

export const writing: Writing = {
  writes,
  migrations,
  keep: async (tx, audited, events) => {
    await insertAuditEntries(tx, tx.by, audited);
    await insertEvents(tx, events);
  },
};
