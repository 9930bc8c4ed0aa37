// All open streams of events, fed by one reader: that many follow costs next to nothing while nothing happens.

import type { Log } from '../log.ts';
import { Problem } from '../problem.ts';
import type { EventRecord } from '../registry/event-tables.ts';
import { eventsAfter, newestEventId, prunedEventId } from '../registry/events.ts';
import type { Registry } from '../registry/writer.ts';
import type { EventCursors } from './event-cursor.ts';
import { eventFrame, heartbeatFrame } from './event-json.ts';
import type { EventStream } from './event-stream.ts';

/** How long events are gathered before they are read, in milliseconds. */
const gathering = 50;
/** Events that are read at a time. */
const page = 500;
/** How often a stream is sent a heartbeat, and whether its reader still may is asked, in seconds. */
const heartbeatEvery = 15;
const lookedAtEvery = 10;

export interface FeedOptions {
  readonly registry: Registry;
  readonly cursors: EventCursors;
  readonly log: Log;
  /** Streams open at once, of everybody and of one holder. */
  readonly streams: number;
  readonly streamsEach: number;
}

/** Feeds streams while it is open; disposing of it ends them. */
export class EventFeed implements Disposable {
  readonly #options: FeedOptions;
  readonly #streams = new Set<EventStream>();
  readonly #countOf = new Map<string, number>();
  /** Those that have read everything up to `#position`, by account; under null those that follow all. */
  readonly #live = new Map<string | null, Set<EventStream>>();
  readonly #held = new DisposableStack();
  #position = 0;
  #second = 0;
  #taken = 0;
  #gathering: NodeJS.Timeout | null = null;
  #reading = false;
  #again = false;
  #ended = false;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#held.defer(options.registry.changes.follow(() => this.#gather()));
    this.#held.defer(
      options.registry.changes.listen(({ kind }) => {
        if (kind === 'account' || kind === 'everything') this.#lookAt(this.#streams);
      }),
    );
    const timer = setInterval(() => this.#tick(), 1_000).unref();
    this.#held.defer(() => clearInterval(timer));
  }

  /** How many streams are open. */
  get size(): number {
    return this.#streams.size;
  }

  /** Throws Problem `unavailable` where as many streams are open as may be, `too_many_requests` where this holder has as many. */
  requireRoom(holder: string): void {
    const { streams, streamsEach } = this.#options;
    if (this.#ended || this.#streams.size >= streams) {
      throw new Problem('unavailable', `${streams} streams of events are open, which is as many as there may be.`);
    }
    if ((this.#countOf.get(holder) ?? 0) >= streamsEach) {
      throw new Problem(
        'too_many_requests',
        `You have ${streamsEach} streams of events open, which is as many as you may.`,
        'Close some, or have the setting events.streams_each raised.',
      );
    }
  }

  /**
   * Takes a stream in: from the number `after` on, or from now on where it is null. Resolves when the stream has been sent
   * what it missed.
   */
  async follow(stream: EventStream, after: number | null): Promise<void> {
    stream.turn = this.#taken += 1;
    this.#streams.add(stream);
    this.#countOf.set(stream.holder, (this.#countOf.get(stream.holder) ?? 0) + 1);
    try {
      await this.#catchUp(stream, after);
    } catch (error) {
      stream.end();
      throw error;
    }
  }

  /** Lets go of a stream whose connection has closed. */
  leave(stream: EventStream): void {
    if (!this.#streams.delete(stream)) return;
    const left = this.#countOf.get(stream.holder)! - 1;
    if (left > 0) this.#countOf.set(stream.holder, left);
    else this.#countOf.delete(stream.holder);
    const live = this.#live.get(stream.account_id);
    live?.delete(stream);
    if (live?.size === 0) this.#live.delete(stream.account_id);
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    this.#held.dispose();
    if (this.#gathering !== null) clearTimeout(this.#gathering);
    for (const stream of this.#streams) stream.end();
  }

  async #catchUp(stream: EventStream, after: number | null): Promise<void> {
    const { read } = this.#options.registry;
    let position = after ?? (await newestEventId(read));
    while (stream.open) {
      // One that was told a number which was never given here comes from another history of this registry.
      const upTo = await newestEventId(read);
      const pruned = await prunedEventId(read, stream.account_id);
      if (position < pruned || position > upTo) {
        position = position > upTo ? upTo : pruned;
        stream.sendGap(position);
      }
      const events = await eventsAfter(read, stream.account_id, { after: position, upTo, limit: page });
      for (const event of events) stream.send(event, eventFrame(this.#options.cursors, stream.account_id, event));
      position = events.length < page ? upTo : events.at(-1)!.id;
      await stream.drained();
      // While nobody follows nothing is read: whoever is the first says from where on.
      if (this.#live.size === 0) this.#position = position;
      if (events.length === page || position < this.#position) continue;
      stream.position = position;
      if (stream.open) this.#liveOf(stream.account_id).add(stream);
      // What came since it was looked for is told now, without waiting for more.
      this.#gather();
      return;
    }
  }

  #liveOf(account_id: string | null): Set<EventStream> {
    const live = this.#live.get(account_id) ?? new Set();
    this.#live.set(account_id, live);
    return live;
  }

  #gather(): void {
    if (this.#streams.size === 0 || this.#gathering !== null || this.#ended) return;
    this.#gathering = setTimeout(() => {
      this.#gathering = null;
      this.#begin();
    }, gathering).unref();
  }

  /** Reads, or does so once more where it reads already. */
  #begin(): void {
    this.#again = this.#reading;
    if (this.#reading) return;
    this.#reading = true;
    this.#read()
      .catch((error: unknown) => this.#options.log.error({ err: error }, 'events could not be read'))
      .finally(() => {
        this.#reading = false;
        if (this.#again) this.#begin();
      });
  }

  /** Reads what is new, once for all. */
  async #read(): Promise<void> {
    const { read } = this.#options.registry;
    const upTo = await newestEventId(read);
    while (this.#position < upTo && this.#live.size > 0) {
      const events = await eventsAfter(read, null, { after: this.#position, upTo, limit: page });
      for (const event of events) this.#tell(event);
      this.#position = events.length < page ? upTo : events.at(-1)!.id;
    }
  }

  #tell(event: EventRecord): void {
    const scopes = event.account_id === null ? [null] : [event.account_id, null];
    for (const scope of scopes) {
      const live = this.#live.get(scope);
      if (!live) continue;
      const frame = eventFrame(this.#options.cursors, scope, event);
      for (const stream of live) if (event.id > stream.position) stream.send(event, frame);
    }
  }

  /** Each second some are sent a heartbeat and some are asked whether they still may. */
  #tick(): void {
    this.#second += 1;
    for (const stream of this.#streams) {
      if (stream.turn % heartbeatEvery === this.#second % heartbeatEvery) stream.write(heartbeatFrame);
    }
    if (this.#second % lookedAtEvery === 0) this.#lookAt(this.#streams);
  }

  /** Ends those whose login, token or role is there no more; those of one reader are asked after once. */
  #lookAt(streams: Iterable<EventStream>): void {
    const answers = new Map<string, Promise<boolean>>();
    for (const stream of streams) {
      const key = `${stream.reader} ${stream.account_id}`;
      const answer = answers.get(key) ?? stream.mayStill();
      answers.set(key, answer);
      answer.then(
        (may) => may || stream.end(),
        (error: unknown) => {
          this.#options.log.error({ err: error }, 'whether a stream of events may go on could not be found out');
          stream.end();
        },
      );
    }
  }
}
