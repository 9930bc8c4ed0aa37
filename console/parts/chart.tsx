// Counts over time as bars and a line (uPlot, loaded when the first chart is shown), and the same as a table.

import { Anchor, Button, Group, Stack, Table, Text, useComputedColorScheme } from '@mantine/core';
import { useEffect, useEffectEvent, useMemo, useRef, useState } from 'react';
import 'uplot/dist/uPlot.min.css';
import type uPlot from 'uplot';
import { Link, useLocation } from 'wouter';
import { language, texts } from '../texts.ts';
import './chart.css';
import { useZone } from './instant.tsx';
import { Rows } from './rows.tsx';

export type Step = 'minute' | 'hour' | 'day';

/** What is counted: its name, and a count for each span of time. */
interface Counted {
  readonly name: string;
  readonly counts: readonly number[];
  /** Where the list is of what a span counts, by when it begins and ends, in milliseconds since 1970. */
  readonly list?: (from: number, until: number) => string;
}

export interface ChartProps {
  /** What it shows, in a sentence, for those who do not see it. */
  readonly summary: string;
  readonly step: Step;
  /** When each span of time begins, in milliseconds since 1970. */
  readonly at: readonly number[];
  readonly bars: Counted;
  readonly line: Counted;
}

const seconds: Readonly<Record<Step, number>> = { minute: 60, hour: 3_600, day: 86_400 };
const shapes: Readonly<Record<Step, Intl.DateTimeFormatOptions>> = {
  minute: { hour: '2-digit', minute: '2-digit' },
  hour: { weekday: 'short', hour: '2-digit', minute: '2-digit' },
  day: { day: 'numeric', month: 'short' },
};
/** Bars and lines have a contrast of 3 with the page, text one of 4.5 (WCAG 2.2 §1.4.11, §1.4.3). */
const shades = {
  light: { bars: 'cyan-8', line: 'red-8', text: 'gray-7', grid: 'gray-3' },
  dark: { bars: 'cyan-5', line: 'red-5', text: 'dark-1', grid: 'dark-4' },
} as const;
const compact = new Intl.NumberFormat(language, { notation: 'compact' });
/** Counts are whole. */
const increments = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();
const height = 220;

/** The chart, with what it shows of the span under the pointer (the present one without) below it. */
export function Chart({ summary, step, at, bars, line }: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [pointed, setPointed] = useState<number | null>(null);
  const [table, setTable] = useState(false);
  const scheme = useComputedColorScheme('light');
  const [zone] = useZone();
  // Days are those of UTC.
  const utc = step === 'day' || zone === 'utc';
  const format = formatOf(step, utc);
  const said = texts.chart;

  const data = useMemo(
    (): uPlot.AlignedData => [at.map((instant) => instant / 1_000), [...bars.counts], [...line.counts]],
    [at, bars.counts, line.counts],
  );
  const [, go] = useLocation();
  const listAt = ({ list }: Counted, from: number): string | undefined => list?.(from, from + seconds[step] * 1_000);
  /** To what a bar counts. By keyboard the table has the same links. */
  const goTo = useEffectEvent((span: number | null | undefined) => {
    const list = span == null ? undefined : listAt(bars, at[span]!);
    if (list !== undefined) go(list);
  });
  const present = useEffectEvent(() => data);
  useEffect(() => {
    const into = host.current;
    if (into === null) return undefined;
    let gone = false;
    const watcher = new ResizeObserver(() => plot.current?.setSize({ width: into.clientWidth, height }));
    void import('uplot').then(({ default: Plot }) => {
      if (gone) return;
      plot.current = new Plot(optionsOf(Plot, { into, scheme, step, utc, onPoint: setPointed }), present(), into);
      const { over, cursor } = plot.current;
      over.addEventListener('click', () => goTo(cursor.idx));
      watcher.observe(into);
    });
    return () => {
      gone = true;
      watcher.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [scheme, utc, step]);
  useEffect(() => plot.current?.setData(data), [data]);

  const shown = pointed !== null && pointed < at.length ? pointed : at.length - 1;
  return (
    <Stack gap="xs">
      <figure className="chart-figure">
        <div
          ref={host}
          className="chart"
          data-leads={bars.list !== undefined || undefined}
          style={{ minHeight: height }}
        />
        <figcaption className="visually-hidden">{summary}</figcaption>
      </figure>
      <Group justify="space-between" gap="xs">
        <Group gap="md" aria-hidden>
          <Text size="sm" className="chart-instant">
            {at[shown] !== undefined && format.format(at[shown])}
          </Text>
          <Text size="sm">
            <span className="chart-mark chart-bars" />
            {said.one(bars.name, bars.counts[shown] ?? 0)}
          </Text>
          <Text size="sm">
            <span className="chart-mark chart-line" />
            {said.one(line.name, line.counts[shown] ?? 0)}
          </Text>
        </Group>
        <Button variant="subtle" color="gray" size="compact-sm" onClick={() => setTable(!table)} aria-expanded={table}>
          {table ? said.hideTable : said.showTable}
        </Button>
      </Group>
      {table && (
        <div className="chart-table">
          <Rows label={summary} heads={[said.from, bars.name, line.name]}>
            {at
              .map((instant, index) => (
                <Table.Tr key={instant}>
                  <Table.Td>{format.format(instant)}</Table.Td>
                  {[bars, line].map((counted) => (
                    <Table.Td key={counted.name}>
                      <Count
                        of={counted}
                        count={counted.counts[index] ?? 0}
                        at={format.format(instant)}
                        list={listAt(counted, instant)}
                      />
                    </Table.Td>
                  ))}
                </Table.Tr>
              ))
              .toReversed()}
          </Rows>
        </div>
      )}
    </Stack>
  );
}

/** A number of the table; one that counts something leads to its list. */
function Count({
  of: { name },
  count,
  at,
  list,
}: {
  of: Counted;
  count: number;
  at: string;
  list: string | undefined;
}) {
  if (list === undefined || count === 0) return texts.number(count);
  return (
    <Anchor component={Link} href={list} aria-label={texts.chart.listOf(name, count, at)}>
      {texts.number(count)}
    </Anchor>
  );
}

const formatOf = (step: Step, utc: boolean): Intl.DateTimeFormat =>
  new Intl.DateTimeFormat(language, { ...shapes[step], ...(utc && { timeZone: 'UTC' }) });

interface Drawn {
  readonly into: HTMLElement;
  readonly scheme: 'light' | 'dark';
  readonly step: Step;
  readonly utc: boolean;
  /** Is told which span the pointer is at. */
  readonly onPoint: (span: number | null) => void;
}

/** How uPlot is to draw it. */
function optionsOf(Plot: typeof uPlot, { into, scheme, step, utc, onPoint }: Drawn): uPlot.Options {
  const styles = getComputedStyle(into);
  const colour = (name: string): string => styles.getPropertyValue(`--mantine-color-${name}`);
  const shade = shades[scheme];
  const axis = { stroke: colour(shade.text), font: `12px ${styles.fontFamily}`, ticks: { show: false } };
  const half = seconds[step] / 2;
  const format = formatOf(step, utc);
  return {
    width: into.clientWidth,
    height,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    select: { show: false, left: 0, top: 0, width: 0, height: 0 },
    cursor: { y: false, drag: { x: false, y: false, setScale: false }, points: { show: false } },
    tzDate: (instant) => (utc ? Plot.tzDate(new Date(instant * 1_000), 'Etc/UTC') : new Date(instant * 1_000)),
    scales: {
      x: { time: true, range: (_, min, max) => [(min ?? 0) - half, (max ?? 0) + half] },
      y: { range: (_, _min, max) => [0, Math.max((max ?? 0) * 1.1, 4)] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        space: 90,
        size: 30,
        values: (_, splits) => splits.map((split) => format.format(split * 1_000)),
      },
      {
        ...axis,
        grid: { stroke: colour(shade.grid), width: 1 },
        incrs: increments,
        size: 44,
        values: (_, splits) => splits.map((split) => compact.format(split)),
      },
    ],
    series: [
      {},
      { fill: colour(shade.bars), width: 0, paths: Plot.paths.bars!({ size: [0.7, 60] }), points: { show: false } },
      { stroke: colour(shade.line), width: 2, points: { show: false } },
    ],
    hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? null)] },
  };
}
