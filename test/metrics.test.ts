// The metrics themselves: how many series there may be, and the page that tells of each.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Documented, Metrics } from '../src/metrics.ts';
import { seriesOf, valueOf } from './support/exposition.ts';

const page = new URL('../docs/metrics.md', import.meta.url);
const mark = /<!-- What follows is written by .* -->\n/;

const rowOf = ({ name, type, labels, help }: Documented): string =>
  `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help.replaceAll('|', '\\|')} |\n`;

test('docs/metrics.md tells of every metric', () => {
  const rows = new Metrics().documented.map(rowOf).join('');
  const table = `\n| metric | type | labels | what it is |\n|---|---|---|---|\n${rows}`;
  const [line = ''] = mark.exec(readFileSync(page, 'utf8')) ?? [];
  const [before = ''] = readFileSync(page, 'utf8').split(mark);
  if (process.env['FLEETROOT_WRITE_DOCS']) writeFileSync(page, before + line + table);
  assert.equal(readFileSync(page, 'utf8'), before + line + table);
});

test('names are as Prometheus has them', () => {
  for (const { name, type, labels, help } of new Metrics().documented) {
    assert.match(name, /^fleetroot_[a-z]+(_[a-z]+)*$/);
    assert.equal(name.endsWith('_total'), type === 'counter', name);
    if (type === 'histogram') assert.match(name, /_(seconds|writes)$/);
    assert.match(help, /^.{15,}[.)]$/, name);
    for (const label of labels) assert.match(label, /^[a-z]+(_[a-z]+)*$/);
  }
});

test('only so many accounts have series of their own; the others are one, and nothing is lost', async () => {
  const metrics = new Metrics({ accounts: 3 });
  const accounts = Array.from({ length: 1_000 }, (_, index) => ({ id: `id-${index}`, name: `name-${index}` }));
  for (const account of accounts) metrics.accounts.add(account);
  for (const { id } of accounts) {
    for (const code of ['certificate_untrusted', 'device_revoked']) {
      metrics.refusals.inc({ account: metrics.accounts.of(id), code });
    }
  }
  metrics.refusals.inc({ account: metrics.accounts.of(null), code: 'misdirected_request' });
  const text = await metrics.scrape();
  assert.equal(seriesOf(text).filter(({ name }) => name === 'fleetroot_refusals_total').length, 2 * 4 + 1);
  assert.equal(valueOf(text, 'fleetroot_refusals_total', { account: '_other' }), 2 * 997);
  assert.equal(valueOf(text, 'fleetroot_refusals_total'), 2_001);
});

test('who has the most devices has series of its own; who no longer has leaves none behind', async () => {
  const metrics = new Metrics({ accounts: 2 });
  const [one, two, three] = ['one', 'two', 'three'].map((name) => ({ id: `id-${name}`, name })) as [any, any, any];
  await metrics.accounts.rank([one, two, three]);
  for (const { id } of [one, two, three]) metrics.refusals.inc({ account: metrics.accounts.of(id), code: 'x' });
  await metrics.accounts.rank([three, one, two]);
  metrics.refusals.inc({ account: metrics.accounts.of('id-three'), code: 'x' });
  const labels = seriesOf(await metrics.scrape()).flatMap(({ name, labels: { account } }) =>
    name === 'fleetroot_refusals_total' ? [account] : [],
  );
  assert.deepEqual(new Set(labels), new Set(['_other', 'one', 'three']));
  await metrics.accounts.remove('id-one');
  assert.equal(metrics.accounts.of('id-one'), '_other');
  assert.equal(valueOf(await metrics.scrape(), 'fleetroot_refusals_total', { account: 'one' }), 0);
  assert.equal(new Metrics({ accounts: 0 }).accounts.of('id-one'), '_other');
});

test('several servers in one process count each for itself', async () => {
  const [one, other] = [new Metrics(), new Metrics()];
  one.crowdedOut.inc();
  assert.equal(valueOf(await one.scrape(), 'fleetroot_connections_crowded_out_total'), 1);
  assert.equal(valueOf(await other.scrape(), 'fleetroot_connections_crowded_out_total'), 0);
});
