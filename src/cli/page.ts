// What a command prints for people: aligned tables, sheets of facts, sentences; as it is, or as a terminal likes it.

import { styleText } from 'node:util';
import { printable } from './printable.ts';

/** What goes to stdout, and what is told beside it on stderr. */
export interface Page {
  readonly out: string;
  /** The same for a terminal: no wider than it is, in colours if it has them. */
  readonly fit?: (look: Look) => string;
  readonly note?: string;
}

/** What a terminal can show. */
export interface Look {
  /** Null where that is not known: nothing is cut then. */
  readonly columns: number | null;
  readonly colours: boolean;
}

/** What a cell may hold: nothing shows as a dash. */
export type Cell = string | number | boolean | null | undefined;

const gap = '  ';
/** No column is made narrower: what is left of it has to tell something. */
const narrowest = 10;
const more = '…';

type Colour = 'green' | 'yellow' | 'red';
/** States as they stand in cells, by what they mean to whoever looks. */
const colourOf: Readonly<Record<string, Colour>> = {
  active: 'green',
  current: 'green',
  ready: 'green',
  pending: 'yellow',
  suspended: 'yellow',
  closed: 'yellow',
  exhausted: 'yellow',
  expired: 'yellow',
  failing: 'yellow',
  revoked: 'red',
  disabled: 'red',
  failed: 'red',
};

function cellText(cell: Cell): string {
  if (cell === null || cell === undefined || cell === '') return '-';
  if (typeof cell === 'boolean') return cell ? 'yes' : 'no';
  return printable(String(cell));
}

const width = (text: string): number => [...text].length;

function widthsOf(rows: readonly (readonly string[])[]): number[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, width(cell))));
  return widths;
}

/** An instant as the API writes it: at a terminal the minute is enough. */
const instant = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d):[\d.]+Z$/;

/**
 * The same, the widest made narrower until all fit, and the last left out where that is not enough; the first stays whole,
 * since it is what a row is called by.
 */
function fitted(widths: readonly number[], columns: number): number[] {
  const made = [...widths];
  const tooWide = (): number => made.reduce((sum, one) => sum + one + gap.length, -gap.length) - columns;
  for (let over = tooWide(); over > 0; over = tooWide()) {
    const widest = made.reduce((at, one, column) => (column > 0 && one > (made[at] ?? 0) ? column : at), -1);
    if (widest !== -1 && made[widest]! > narrowest) made[widest] = made[widest]! - 1;
    else if (made.length > 2) made.pop();
    else break;
  }
  return made;
}

function cut(cell: string, to: number): string {
  return width(cell) <= to ? cell : `${[...cell].slice(0, to - 1).join('')}${more}`;
}

interface Layout {
  readonly widths: readonly number[];
  /** Has a cell look like what it means, its spaces left as they are. */
  readonly styled?: (cell: string, row: number) => string;
}

function aligned(rows: readonly (readonly string[])[], { widths, styled = (cell) => cell }: Layout): string {
  const line = (row: readonly string[], at: number): string =>
    row
      .slice(0, widths.length)
      .map((cell, column) => {
        const shown = cut(cell, widths[column]!);
        const pad = column === widths.length - 1 ? '' : ' '.repeat(widths[column]! - width(shown));
        return styled(shown, at) + pad;
      })
      .join(gap)
      .trimEnd();
  return rows.map((row, at) => `${line(row, at)}\n`).join('');
}

function coloured(cell: string): string {
  const colour = Object.hasOwn(colourOf, cell) ? colourOf[cell] : undefined;
  return colour ? styleText(colour, cell, { validateStream: false }) : cell;
}

/** A table, one line a row, under its column heads; where there is no row, the sentence `empty` on stderr. */
export function table<Row>(
  rows: readonly Row[],
  empty: string,
  columns: Readonly<Record<string, (row: Row) => Cell>>,
): Page {
  if (rows.length === 0) return { out: '', note: empty };
  const heads = Object.keys(columns).map((head) => head.toUpperCase());
  const cells = rows.map((row) => Object.values(columns).map((column) => cellText(column(row))));
  const all = [heads, ...cells];
  const widths = widthsOf(all);
  return {
    out: aligned(all, { widths }),
    fit({ columns: most, colours }) {
      const shown = most === null ? all : all.map((row) => row.map((cell) => cell.replace(instant, '$1 $2')));
      return aligned(shown, {
        widths: most === null ? widths : fitted(widthsOf(shown), most),
        ...(colours && {
          styled: (cell, row) => (row === 0 ? styleText('bold', cell, { validateStream: false }) : coloured(cell)),
        }),
      });
    },
  };
}

/** A sheet: one fact a line, its name before it. A list has a line for each of its items. */
export function sheet(facts: Readonly<Record<string, Cell | readonly Cell[]>>): Page {
  const lines = Object.entries(facts).flatMap(([name, fact]) => {
    const cells = Array.isArray(fact) ? (fact as readonly Cell[]) : [fact as Cell];
    return (cells.length === 0 ? [null] : cells).map((cell, index) => [index === 0 ? name : '', cellText(cell)]);
  });
  const widths = widthsOf(lines);
  return {
    out: aligned(lines, { widths }),
    // Facts are for reading whole and for copying: nothing of them is cut.
    fit: ({ colours }) => aligned(lines, { widths, ...(colours && { styled: coloured }) }),
  };
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
  const below = (shown: (part: Page) => string) => parts.flatMap((part) => shown(part) || []).join('\n');
  return {
    out: below(({ out }) => out),
    fit: (look) => below(({ out, fit }) => fit?.(look) ?? out),
    ...(note && { note }),
  };
}
