// The docs name everything that there is: every error, every setting.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { settingKeys, variableOf } from '../src/config.ts';
import { problemCodes, sentenceOf, statusOf } from '../src/problem.ts';

const page = (name: string) => readFile(new URL(`../docs/${name}`, import.meta.url), 'utf8');

test('docs/errors.md lists every code with its status and its sentence, and no other', async () => {
  const rows = (await page('errors.md')).match(/^\| \d.*$/gm) ?? [];
  assert.deepEqual(
    rows.toSorted(),
    problemCodes.map((code) => `| ${statusOf(code)} | \`${code}\` | ${sentenceOf(code)} |`).toSorted(),
  );
});

test('docs/configuration.md lists every setting, and no other', async () => {
  const rows = [...(await page('configuration.md')).matchAll(/^\| `([a-z\d_.]+)` \|/gm)].map((match) => match[1]!);
  assert.deepEqual(rows.toSorted(), settingKeys.toSorted());
  assert.equal(variableOf('gateway.public_port'), 'FLEETROOT_GATEWAY_PUBLIC_PORT');
});
