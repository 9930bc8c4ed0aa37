// The thread that writes the registry where that is a file.

import { runCommitThread } from './commit-thread.ts';
import { writing } from './writing.ts';

await runCommitThread(writing);
