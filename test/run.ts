// Runs the tests: all of them, or the files and patterns named; the last line says how many passed and failed.

import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { sharePostgres } from './support/postgres.ts';

// Every test file starts servers, each of which reads all of their code: read once, it is kept as Node has compiled it.
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, '../node_modules/.cache/node');

await using _postgres = await sharePostgres();

/** Those that take longest, begun first, so that none of them runs on alone at the end. */
const longest = [
  'test/journeys/factory-killed.test.ts',
  'test/journeys/killed-while-issuing.test.ts',
  'test/journeys/owner-trust-nodes.test.ts',
  'test/journeys/nodes-killed.test.ts',
  'test/journeys/custody-away.test.ts',
  'test/journeys/factory-batch-killed.test.ts',
  'test/contracts/custodian.test.ts',
  'test/cli/program.test.ts',
];

const cwd = join(import.meta.dirname, '..');
const patterns = process.argv.slice(2);
const files = globSync(patterns.length > 0 ? patterns : 'test/**/*.test.ts', { cwd }).toSorted();
const events = run({
  cwd,
  files: [...longest.filter((file) => files.includes(file)), ...files.filter((file) => !longest.includes(file))],
  // A journey mostly waits for the server and the clients it started, so more files than processors would only make
  // the figures of the slow ones worse.
  concurrency: Math.min(availableParallelism(), 4),
  // For one test: what hangs is a failure, not an endless run. A longer story sets its own `timeout`.
  timeout: 5 * 60_000,
});

let last = '0 passed, 0 failed';
let good = false;
events.on('test:summary', ({ file, counts, success }) => {
  if (file !== undefined) return;
  const { tests, passed, skipped, todo } = counts;
  last = `${passed} passed, ${tests - passed - skipped - todo} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
  good = success && passed > 0;
});

await pipeline(events, new spec(), process.stdout, { end: false });
process.stdout.write(`\n${last}\n`);
process.exitCode = good ? 0 : 1;
