// Runs the tests: all of them, or the files and patterns named; the last line says how many passed and failed.

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

// Every test file starts servers, each of which reads all of their code: read once, it is kept as Node has compiled it.
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, '../node_modules/.cache/node');

const patterns = process.argv.slice(2);
const events = run({
  cwd: join(import.meta.dirname, '..'),
  globPatterns: patterns.length > 0 ? patterns : ['test/**/*.test.ts'],
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
