// One open stream of events: what it has been sent, and whether whoever reads it still may and still does.

import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { EventType } from '../registry/notes.ts';
import type { EventRecord } from '../registry/event-tables.ts';
import type { EventCursors } from './event-cursor.ts';
import { gapFrame } from './event-json.ts';

/** Octets that may wait for a reader: one who lets more pile up is cut off, and may come back where it was. */
const mostWaiting = 1024 * 1024;
/** How long a reader that is sent what it missed may take for each page of it, in milliseconds. */
const patience = 30_000;

export interface StreamOptions {
  readonly response: ServerResponse;
  /** Whose events; null for those of all accounts. */
  readonly account_id: string | null;
  /** Those that are wished; null for all. */
  readonly types: ReadonlySet<EventType> | null;
  readonly cursors: EventCursors;
  /** Who reads, by which login: those of one name are looked at together. */
  readonly reader: string;
  /** Whose it is, by whichever login: those of one name are counted. */
  readonly holder: string;
  /** Whether the reader still may. */
  readonly mayStill: () => Promise<boolean>;
}

/** A stream while it is open. */
export class EventStream {
  readonly account_id: string | null;
  readonly reader: string;
  readonly holder: string;
  readonly mayStill: () => Promise<boolean>;
  /** The number of the last event that it has been looked at for. */
  position = 0;
  /** Which of all it is, so that not all are written to at once. */
  turn = 0;
  readonly #response: ServerResponse;
  readonly #types: ReadonlySet<EventType> | null;
  readonly #cursors: EventCursors;

  constructor({ response, account_id, types, cursors, reader, holder, mayStill }: StreamOptions) {
    this.#response = response;
    this.account_id = account_id;
    this.#types = types;
    this.#cursors = cursors;
    this.reader = reader;
    this.holder = holder;
    this.mayStill = mayStill;
  }

  get open(): boolean {
    return !this.#response.destroyed && !this.#response.writableEnded;
  }

  /** Sends an event where its type is wished; `frame` is made once for all streams of an account. */
  send(event: EventRecord, frame: string): void {
    if (this.#types === null || this.#types.has(event.type)) this.write(frame);
  }

  /** Says that events up to this number are missing. */
  sendGap(last_id: number): void {
    this.write(gapFrame(this.#cursors, this.account_id, last_id));
  }

  /** Writes, or cuts off a reader that does not keep up. */
  write(text: string): void {
    if (!this.open) return;
    this.#response.write(text);
    if (this.#response.writableLength > mostWaiting) this.#response.destroy();
  }

  /** Waits until what was written is on its way; cuts off a reader that takes too long. */
  async drained(): Promise<void> {
    if (!this.open || !this.#response.writableNeedDrain) return;
    const enough = new AbortController();
    const { signal } = enough;
    await Promise.race([
      once(this.#response, 'drain', { signal }),
      once(this.#response, 'close', { signal }),
      pause(patience, undefined, { signal, ref: false }).then(() => this.#response.destroy()),
    ]).finally(() => enough.abort());
  }

  /** Ends it in order: the reader may come back. */
  end(): void {
    if (this.open) this.#response.end();
  }
}
