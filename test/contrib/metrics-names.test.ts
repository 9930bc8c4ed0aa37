// The dashboard and the alerts in contrib/ ask for nothing that a server does not tell, and Prometheus' own tool reads them.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { Metrics } from '../../src/metrics.ts';
import { problemCodes } from '../../src/problem.ts';
import { seriesOf } from '../support/exposition.ts';
import { Fleetroot } from '../support/fleetroot.ts';
import { execute } from '../support/process.ts';
import { needs } from '../support/require.ts';

const folder = new URL('../../contrib/', import.meta.url);
/** What Prometheus itself puts to every series, and to a histogram's. */
const everywhere = ['instance', 'job', 'le'];
const documented = new Map(new Metrics().documented.map((each) => [each.name, each]));

/** A metric that an expression asks for, with the matchers of its labels. */
interface Asked {
  readonly name: string;
  readonly matchers: readonly (readonly [label: string, value: string])[];
}

function askedIn(expression: string): Asked[] {
  return [...expression.matchAll(/\b((?:fleetroot|nodejs|process)_[a-z\d_]+)(?:\{([^}]*)\})?/g)].map((match) => ({
    name: match[1] as string,
    matchers: [...(match[2] ?? '').matchAll(/([a-z_]+)(?:=~|!=|=)"([^"]*)"/g)].map(([, label = '', value = '']) => [
      label,
      value,
    ]),
  }));
}

/** The name under which the metric is documented: a histogram's series have another. */
function metricOf(name: string): string {
  const plain = name.replace(/_(bucket|sum|count)$/, '');
  return documented.get(plain)?.type === 'histogram' ? plain : name;
}

describe('contrib', () => {
  let fleetroot: Fleetroot;
  let text: string;
  const expressions: string[] = [];

  before(async () => {
    fleetroot = await Fleetroot.start();
    await fleetroot.json('account', 'create', 'acme');
    await fleetroot.image('acme');
    text = await fleetroot.metrics();
    const dashboard = JSON.parse(await readFile(new URL('grafana/fleetroot.json', folder), 'utf8'));
    for (const { targets = [] } of dashboard.panels) for (const { expr } of targets) expressions.push(expr);
    for (const { query } of dashboard.templating.list) if (query.query) expressions.push(query.query);
    const alerts = await readFile(new URL('prometheus/alerts.yml', folder), 'utf8');
    // Annotations name no metrics; the expressions go over several lines.
    for (const [expr] of alerts.matchAll(/^ +expr: [\s\S]*?(?=^ +(?:for|labels|annotations):)/gm))
      expressions.push(expr);
  });
  after(() => fleetroot[Symbol.asyncDispose]());

  test('every metric that is asked for is one that a server tells', () => {
    const told = new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name));
    const asked = expressions.flatMap(askedIn);
    assert.ok(
      expressions.length > 50 && asked.length > 60,
      `${expressions.length} expressions, ${asked.length} metrics`,
    );
    assert.deepEqual(
      asked.map(({ name }) => metricOf(name)).filter((name) => !told.has(name)),
      [],
    );
    // A histogram is asked for by its parts, anything else by its name.
    assert.deepEqual(
      asked.map(({ name }) => name).filter((name) => documented.get(name)?.type === 'histogram'),
      [],
    );
  });

  test('and has the labels by which it is asked for, and the values', () => {
    const series = seriesOf(text);
    const wrong: string[] = [];
    for (const { name, matchers } of expressions.flatMap(askedIn)) {
      const { labels = [] } = documented.get(metricOf(name)) ?? {};
      for (const [label, value] of matchers) {
        if (!labels.includes(label) && !everywhere.includes(label)) wrong.push(`${name} has no label ${label}`);
        if (value.startsWith('$') || !['kind', 'days_left', 'state', 'code'].includes(label)) continue;
        const values =
          label === 'code'
            ? problemCodes
            : series.filter((each) => each.name === name).map((each) => each.labels[label]);
        for (const one of value.split('|')) {
          // Nothing has been made of these here.
          if (one === 'intermediate' || (label === 'kind' && ['device', 'stranger'].includes(one))) continue;
          if (!(values as unknown[]).includes(one)) wrong.push(`${name} has no ${label} ${one}`);
        }
      }
    }
    assert.deepEqual(wrong, []);
    const known = new Set([...documented.values()].flatMap(({ labels }) => labels).concat(everywhere));
    const grouped = expressions.flatMap((each) =>
      [...each.matchAll(/\bby \(([^)]*)\)/g)].map(([, labels = '']) => labels),
    );
    for (const label of grouped.flatMap((labels) => labels.split(/,\s*/))) assert.ok(known.has(label), label);
  });

  test(
    "the alerts are read by Prometheus' own tool, and say what they are to",
    { skip: needs('promtool') },
    async () => {
      for (const [what, file] of [
        ['check', 'alerts.yml'],
        ['test', 'alerts.test.yml'],
      ] as const) {
        const path = fileURLToPath(new URL(`prometheus/${file}`, folder));
        const { code, stdout, stderr } = await execute('promtool', [what, 'rules', path]);
        assert.equal(code, 0, stdout + stderr);
        assert.match(stdout, /SUCCESS/);
      }
    },
  );
});
