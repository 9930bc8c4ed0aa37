// The stream of an account's events, or of the whole server: it comes back by itself, goes on where it was, and says how it is.

import { EventSourceParserStream } from 'eventsource-parser/stream';
import { askServer, Refused, type Schema } from '../api/client.ts';

export type LiveEvent = Schema<'Event'>;

/** How the stream is: `paused` by the reader; `cut` with the instants (milliseconds) since when and of its next attempt. */
export type LiveState =
  | { readonly is: 'connecting' }
  | { readonly is: 'live' }
  | { readonly is: 'paused' }
  | { readonly is: 'cut'; readonly since: number; readonly again: number };

const shortestPause = 1_000;
const longestPause = 30_000;
/** The server says every 15 seconds that it is there: a connection that is silent for longer is dead, whatever TCP says. */
const longestSilence = 40_000;

export interface Follower {
  /** An event, in its order. */
  readonly onEvent: (event: LiveEvent) => void;
  /** Events are missing: what is shown has to be asked for again. */
  readonly onGap: () => void;
  readonly onState: (state: LiveState) => void;
}

/**
 * Follows the events under `path` until the signal ends. A browser's own EventSource hears no comments, so it takes a dead
 * connection for a quiet one, and does not come back from a refusal; this does from everything, at growing intervals.
 */
export async function follow(path: string, follower: Follower, signal: AbortSignal): Promise<void> {
  let pause = shortestPause;
  let last: string | null = null;
  while (!signal.aborted) {
    follower.onState({ is: 'connecting' });
    const ended = new AbortController();
    const silence = watchSilence(() => ended.abort());
    try {
      const response = await askServer(path, {
        headers: { accept: 'text/event-stream', ...(last !== null && { 'last-event-id': last }) },
        signal: AbortSignal.any([signal, ended.signal]),
      });
      follower.onState({ is: 'live' });
      pause = shortestPause;
      const events = response
        .body!.pipeThrough(silence.heard)
        .pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
        .pipeThrough(new EventSourceParserStream());
      for await (const { id, event, data } of events) {
        last = id ?? last;
        if (event === 'gap') follower.onGap();
        else follower.onEvent(JSON.parse(data) as LiveEvent);
      }
    } catch (error) {
      // A place that is no longer known would be refused for ever.
      if (error instanceof Refused && error.status === 400) last = null;
    } finally {
      silence.stop();
    }
    if (signal.aborted) return;
    // Half of it or more, so that all consoles do not come back at once.
    const wait = pause * (0.5 + Math.random() / 2);
    const since = Date.now();
    follower.onState({ is: 'cut', since, again: since + wait });
    await rest(wait, signal);
    pause = Math.min(pause * 2, longestPause);
  }
}

/** Calls `dead` once nothing has come through `heard` for too long. */
function watchSilence(dead: () => void): { heard: TransformStream<Uint8Array, Uint8Array>; stop: () => void } {
  let timer = setTimeout(dead, longestSilence);
  return {
    heard: new TransformStream({
      transform(chunk, controller) {
        clearTimeout(timer);
        timer = setTimeout(dead, longestSilence);
        controller.enqueue(chunk);
      },
    }),
    stop: () => clearTimeout(timer),
  };
}

/** So many milliseconds, or until the browser is back on a network. */
function rest(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      window.removeEventListener('online', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    window.addEventListener('online', done);
    signal.addEventListener('abort', done, { once: true });
  });
}
