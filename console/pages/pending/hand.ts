// Which of the queue is current, and which are selected: by who they are, not by where they stand, for others work on the same queue.

import { useState } from 'react';
import type { Waiting } from './waiting.ts';

interface Place {
  readonly row: Waiting;
  readonly at: number;
  /** Where one's own decision leads from it, once it is gone; null to whatever comes first then, undefined nowhere. */
  readonly next?: Waiting | null;
}

/** Whoever is current; where that one has gone by one's own decision, who came next then; where by somebody else's, nobody. */
function placeIn(rows: readonly Waiting[], place: Place | null): Place | null {
  if (place !== null && rows.some(({ uuid }) => uuid === place.row.uuid)) return place;
  const next = place === null || place.next === null ? rows[0] : place.next;
  return next === undefined ? place : { row: next, at: rows.findIndex(({ uuid }) => uuid === next.uuid) };
}

export function useHand(rows: readonly Waiting[]) {
  const [before, setPlace] = useState<Place | null>(null);
  const [marked, setMarked] = useState<ReadonlyMap<string, Waiting>>(new Map());
  const place = placeIn(rows, before);
  if (place !== before) setPlace(place);

  const waits = (row: Waiting): boolean => rows.some(({ uuid }) => uuid === row.uuid);
  const current = place === null ? undefined : rows.find(({ uuid }) => uuid === place.row.uuid);
  const lost = new Map([...marked].filter(([, row]) => !waits(row)));
  if (place !== null && current === undefined && place.next === undefined) lost.set(place.row.uuid, place.row);
  const moveTo = (row: Waiting): void => setPlace({ row, at: rows.indexOf(row) });
  const mark = (some: readonly Waiting[]): void => setMarked(new Map(some.map((row) => [row.uuid, row])));

  return {
    current,
    /** Where the current one stands, or stood. */
    at: current ? rows.indexOf(current) : Math.max(place?.at ?? 0, 0),
    chosen: rows.filter(({ uuid }) => marked.has(uuid)),
    /** Who was current or selected, and waits no longer, by nothing that was done here; until one moves or selects. */
    gone: [...lost.values()],
    move(row: Waiting): void {
      moveTo(row);
      mark([...marked.values()].filter(waits));
    },
    choose(some: readonly Waiting[]): void {
      mark(some);
      if (current === undefined && some[0]) moveTo(some[0]);
    },
    toggle(row: Waiting): void {
      const others = [...marked.values()].filter((each) => waits(each) && each.uuid !== row.uuid);
      mark(marked.has(row.uuid) ? others : [...others, row]);
      if (current === undefined) moveTo(row);
    },
    /** One of `decided`, which were decided together as the queue is now, is done. */
    done(row: Waiting, decided: readonly Waiting[]): void {
      const at = rows.findIndex(({ uuid }) => uuid === row.uuid);
      const stays = (each: Waiting): boolean => decided.every(({ uuid }) => uuid !== each.uuid);
      const next = rows.slice(at + 1).find(stays) ?? rows.slice(0, Math.max(at, 0)).findLast(stays) ?? null;
      setMarked((all) => new Map([...all].filter(([uuid]) => uuid !== row.uuid)));
      setPlace((now) => (now?.row.uuid === row.uuid ? { ...now, next } : now));
    },
  };
}
