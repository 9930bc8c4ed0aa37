// The thread that writes the registry: its writes, its migrations, and what it keeps of what they note.

import { runCommitThread } from './commit-thread.ts';
import { migrations } from './migrations.ts';
import { insertAuditEntries, insertEvents } from './writer-notes.ts';
import { writes } from './writes.ts';

await runCommitThread({
  writes,
  migrations,
  keep: async (tx, audited, events) => {
    await insertAuditEntries(tx, tx.by, audited);
    await insertEvents(tx, events);
  },
});
