// A list of any length: rows come as one scrolls, and only those in sight are in the page.

import { Text, UnstyledButton } from '@mantine/core';
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react';
import type { QueryKey } from '@tanstack/react-query';
import { defaultRangeExtractor, useVirtualizer } from '@tanstack/react-virtual';
import { memo, type ReactNode, useEffect, useRef, useState } from 'react';
import type { Page } from '../api/client.ts';
import { texts } from '../texts.ts';
import { Failure } from './failure.tsx';
import { useKeyset } from './keyset.ts';
import './long-list.css';

export interface Column<Row> {
  readonly name: string;
  readonly head: string;
  /** As in CSS's grid-template-columns, such as `minmax(10rem, 2fr)`. */
  readonly width: string;
  /** By what the list is sorted by it, where it can be. */
  readonly sort?: string;
  readonly cell: (row: Row) => ReactNode;
}

export interface Sorting {
  readonly by: string;
  readonly descending: boolean;
  readonly onSort: (by: string, descending: boolean) => void;
}

const rowHeight = 44;
/** Rows that come one below the other at most: a browser has no room for more (Firefox: some 17,800,000 pixels). */
const mostRows = 300_000;
/** Rows that are shown as coming. */
const comingRows = 8;

/**
 * `ask` gives the pages of the list that `queryKey` names; `total` is how many rows there are, where that is known.
 * `columns` have to stay the same object from one rendering to the next. `empty` stands where there is nothing.
 */
export function LongList<Row>({
  label,
  queryKey,
  ask,
  columns,
  total,
  sorting,
  minWidth = '56rem',
  empty,
}: {
  label: string;
  queryKey: QueryKey;
  ask: (cursor: string | null, signal: AbortSignal) => Promise<Page<Row>>;
  columns: readonly Column<Row>[];
  total?: number | undefined;
  sorting?: Sorting;
  minWidth?: string;
  empty: ReactNode;
}) {
  const scroller = useRef<HTMLDivElement>(null);
  const focused = useRef<number | null>(null);
  const [sight, setSight] = useState<readonly [number, number]>([0, 0]);
  const [old, setOld] = useState<readonly Row[]>([]);
  const { count, more, row, head, error } = useKeyset({ queryKey, ask, sight });
  if (head !== undefined && head !== old) setOld(head);

  // A list that is asked for shows the one before until it is there.
  const asking = count === 0 && more;
  const rowAt = asking ? (at: number) => old[at] : row;
  const cut = count > mostRows;
  const known = asking ? old.length : Math.min(count, mostRows);
  const shown = known + (more && !cut && error === null ? comingRows : 0);
  const virtual = useVirtualizer({
    count: shown,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    // Under the head, which stays.
    scrollPaddingStart: rowHeight,
    overscan: 12,
    useFlushSync: false,
    // A row that has the focus stays, or the focus would be lost.
    rangeExtractor(range) {
      const rows = defaultRangeExtractor(range);
      const at = focused.current;
      if (at === null || at >= range.count || rows.includes(at)) return rows;
      return [...rows, at].toSorted((a, b) => a - b);
    },
  });
  const [first, end] = inSight(virtual.range);
  if (!asking && (first !== sight[0] || end !== sight[1])) setSight([first, end]);

  const list = JSON.stringify(queryKey);
  useEffect(() => {
    scroller.current?.scrollTo({ top: 0 });
  }, [list]);

  if (count === 0 && !more) return empty;
  const template = columns.map(({ width }) => width).join(' ');
  return (
    <>
      <Failure error={error} title={texts.common.notRead} />
      <div
        ref={scroller}
        className="long-list"
        role="table"
        aria-label={label}
        aria-rowcount={total === undefined ? -1 : total + 1}
        aria-colcount={columns.length}
        aria-busy={asking}
        data-old={asking || undefined}
        tabIndex={0}
      >
        <div role="rowgroup" className="long-list-head" style={{ minWidth }}>
          <div role="row" aria-rowindex={1} className="long-list-row" style={{ gridTemplateColumns: template }}>
            {columns.map((column) => (
              <Head key={column.name} column={column} sorting={sorting} />
            ))}
          </div>
        </div>
        <div role="rowgroup" className="long-list-body" style={{ height: virtual.getTotalSize(), minWidth }}>
          {virtual.getVirtualItems().map(({ index, start }) => (
            <ListRow
              key={index}
              at={index}
              top={start}
              row={rowAt(index)}
              columns={columns}
              template={template}
              onFocus={(at) => (focused.current = at)}
            />
          ))}
        </div>
      </div>
      {cut && <Text size="sm">{texts.devices.cut(mostRows)}</Text>}
    </>
  );
}

/** First and last row in sight, by steps, so that not every row that comes into sight is a rendering more. */
function inSight(range: { startIndex: number; endIndex: number } | null): readonly [number, number] {
  const step = 25;
  if (range === null) return [0, 0];
  return [Math.floor(range.startIndex / step) * step, Math.ceil(range.endIndex / step) * step];
}

function Head<Row>({ column: { head, sort }, sorting }: { column: Column<Row>; sorting: Sorting | undefined }) {
  if (sort === undefined || !sorting) return <div role="columnheader">{head}</div>;
  const { by, descending, onSort } = sorting;
  const now = by === sort;
  const Arrow = descending ? IconArrowDown : IconArrowUp;
  return (
    <div role="columnheader" aria-sort={now ? (descending ? 'descending' : 'ascending') : 'none'}>
      <UnstyledButton fz="inherit" fw={600} py={4} onClick={() => onSort(sort, now && !descending)}>
        {head} {now && <Arrow size={14} aria-hidden />}
      </UnstyledButton>
    </div>
  );
}

interface ListRowProps<Row> {
  readonly at: number;
  readonly top: number;
  readonly row: Row | undefined;
  readonly columns: readonly Column<Row>[];
  readonly template: string;
  readonly onFocus: (at: number) => void;
}

const sameRow = <Row,>(one: ListRowProps<Row>, other: ListRowProps<Row>): boolean =>
  one.at === other.at &&
  one.top === other.top &&
  one.row === other.row &&
  one.columns === other.columns &&
  one.template === other.template;

const ListRow = memo(function ListRow<Row>({ at, top, row, columns, template, onFocus }: ListRowProps<Row>) {
  return (
    <div
      role="row"
      aria-rowindex={at + 2}
      className="long-list-row"
      style={{ gridTemplateColumns: template, height: rowHeight, transform: `translateY(${top}px)` }}
      onFocus={() => onFocus(at)}
    >
      {columns.map(({ name, cell }) => (
        <div key={name} role="cell">
          {row === undefined ? <span className="long-list-blank" aria-hidden /> : cell(row)}
        </div>
      ))}
    </div>
  );
}, sameRow) as <Row>(props: ListRowProps<Row>) => ReactNode;
