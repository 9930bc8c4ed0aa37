// What a command prints for people: aligned tables, sheets of facts, sentences.

import { printable } from './printable.ts';

/** What goes to stdout, and what is told beside it on stderr. */
export interface Page {
  readonly out: string;
  readonly note?: string;
}

/** What a cell may hold: nothing shows as a dash. */
export type Cell = string | number | boolean | null | undefined;

const gap = '  ';

function cellText(cell: Cell): string {
  if (cell === null || cell === undefined || cell === '') return '-';
  if (typeof cell === 'boolean') return cell ? 'yes' : 'no';
  return printable(String(cell));
}

const width = (text: string): number => [...text].length;

function aligned(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, width(cell))));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell + ' '.repeat(widths[column]! - width(cell)))
      .join(gap)
      .trimEnd();
  return rows.map((row) => `${line(row)}\n`).join('');
}

/** A table, one line a row, under its column heads; where there is no row, the sentence `empty` on stderr. */
export function table<Row>(
  rows: readonly Row[],
  empty: string,
  columns: Readonly<Record<string, (row: Row) => Cell>>,
): Page {
  if (rows.length === 0) return { out: '', note: empty };
  const heads = Object.keys(columns);
  const cells = rows.map((row) => Object.values(columns).map((column) => cellText(column(row))));
  return { out: aligned([heads.map((head) => head.toUpperCase()), ...cells]) };
}

/** A sheet: one fact a line, its name before it. A list has a line for each of its items. */
export function sheet(facts: Readonly<Record<string, Cell | readonly Cell[]>>): Page {
  const lines = Object.entries(facts).flatMap(([name, fact]) => {
    const cells = Array.isArray(fact) ? (fact as readonly Cell[]) : [fact as Cell];
    return (cells.length === 0 ? [null] : cells).map((cell, index) => [index === 0 ? name : '', cellText(cell)]);
  });
  return { out: aligned(lines) };
}

/** One or more sentences, each on a line of its own. What comes from outside in them is made printable. */
export function sentences(...lines: readonly string[]): Page {
  return { out: lines.map((line) => `${printable(line)}\n`).join('') };
}

/** A page with a note beside it. */
export function noted(page: Page, note: string): Page {
  return { ...page, note };
}

/** Pages below each other, a blank line between. */
export function pages(...parts: readonly Page[]): Page {
  const note = parts.flatMap((part) => part.note ?? []).join('\n');
  return { out: parts.flatMap((part) => part.out || []).join('\n'), ...(note && { note }) };
}
