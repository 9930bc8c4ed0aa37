// A list by keyset pages, of which those in sight are kept and asked for again when events touch them.

import { type QueryKey, useQueries } from '@tanstack/react-query';
import { useState } from 'react';
import type { Page } from '../api/client.ts';

/** Where the pages that are known begin: by cursor, and by the row that comes first; as many of both. */
interface Known {
  readonly list: string;
  readonly cursors: readonly (string | null)[];
  readonly starts: readonly number[];
  /** Whether the last of them is the last of the list. */
  readonly whole: boolean;
}

const begin = (list: string): Known => ({ list, cursors: [null], starts: [0], whole: false });

/** The page that a row is on, of pages that begin at these rows. */
function pageOfRow(starts: readonly number[], row: number): number {
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (starts[middle]! <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** What is known once page `at` was read: where its end has moved, what comes after it is found anew. */
function after<Row>(known: Known, at: number, { rows, next }: Page<Row>): Known {
  const end = known.starts[at]! + rows.length;
  const last = at === known.cursors.length - 1;
  if (next === null) {
    if (last && known.whole) return known;
    return { ...known, cursors: known.cursors.slice(0, at + 1), starts: known.starts.slice(0, at + 1), whole: true };
  }
  if (!last && known.cursors[at + 1] === next && known.starts[at + 1] === end) return known;
  return {
    ...known,
    cursors: [...known.cursors.slice(0, at + 1), next],
    starts: [...known.starts.slice(0, at + 1), end],
    whole: false,
  };
}

/**
 * The list that `ask` gives by cursors; its signal says that nobody waits any more. `sight` are the first and last row in sight: their pages are asked for, and the one
 * after them. Others are forgotten after a minute and come again when they are scrolled to.
 */
export function useKeyset<Row>({
  queryKey,
  ask,
  sight: [first, end],
}: {
  queryKey: QueryKey;
  ask: (cursor: string | null, signal: AbortSignal) => Promise<Page<Row>>;
  sight: readonly [number, number];
}) {
  const list = JSON.stringify(queryKey);
  const [state, setKnown] = useState(() => begin(list));
  const known = state.list === list ? state : begin(list);
  const from = pageOfRow(known.starts, first);
  const to = Math.min(pageOfRow(known.starts, end) + 1, known.cursors.length - 1);
  const asked = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  const answers = useQueries({
    queries: asked.map((page) => {
      const cursor = known.cursors[page]!;
      return {
        queryKey: [...queryKey, cursor],
        queryFn: ({ signal }: { signal: AbortSignal }) => ask(cursor, signal),
        gcTime: 60_000,
        structuralSharing: false,
      };
    }),
  });
  let found = known;
  const pages = new Map<number, readonly Row[]>();
  for (const [index, page] of asked.entries()) {
    const data = answers[index]!.data;
    // What lay behind a page whose end has moved is of no use any more.
    if (data === undefined || page >= found.cursors.length || found.cursors[page] !== known.cursors[page]) continue;
    pages.set(page, data.rows);
    found = after(found, page, data);
  }
  // Of what is computed here alone: it is so at the next rendering too, which finds nothing to change.
  if (found !== state) setKnown(found);

  const lastPage = found.cursors.length - 1;
  const ofLast = pages.get(lastPage);
  return {
    /** Rows that are known to be there. */
    count: found.starts[lastPage]! + (ofLast?.length ?? 0),
    /** Whether there are more than that, as far as is known. */
    more: !found.whole || ofLast === undefined,
    /** A row; undefined while it is not there (yet, or any more). */
    row(at: number): Row | undefined {
      const page = pageOfRow(found.starts, at);
      return pages.get(page)?.[at - found.starts[page]!];
    },
    /** The first page, once it is there: what a list shows while the next list is asked for. */
    head: pages.get(0),
    error: answers.find(({ error }) => error !== null)?.error ?? null,
  };
}
