// The program's start: one command in, one exit code out.

import { run } from './cli/program.ts';
import { openTerminal } from './cli/terminal.ts';

process.exitCode = await run(process.argv.slice(2), process.env, openTerminal());
