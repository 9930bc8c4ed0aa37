// What the composition root opens of events and webhooks: kept in order, followed, delivered.

import type { Config } from '../config.ts';
import type { CustodyNews } from '../custody/watch.ts';
import type { Seal } from '../custody/seal.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { Deliverer } from '../notification/deliverer.ts';
import { EventKeeper } from '../notification/event-keeper.ts';
import type { Webhooks } from '../notification/webhooks.ts';
import { EventCursors } from '../operator/event-cursor.ts';
import { EventFeed } from '../operator/event-feed.ts';
import type { Events } from '../operator/event-routes.ts';
import type { Outbound } from '../outbound.ts';
import type { NewEvent } from '../registry/notes.ts';
import type { Registry } from '../registry/writer.ts';

/** What is open of events and webhooks. */
export interface Notifications extends AsyncDisposable {
  readonly events: Events;
  readonly webhooks: Webhooks;
  readonly keeper: EventKeeper;
}

/** Begins to keep events in order, and to deliver them. */
export async function openNotifications(
  { database, events: { kept, streams, streamsEach } }: Config,
  {
    registry,
    seal,
    outbound,
    clock,
    log,
    metrics,
  }: { registry: Registry; seal: Seal; outbound: Outbound; clock: () => number; log: Log; metrics: Metrics },
): Promise<Notifications> {
  await using opened = new AsyncDisposableStack();
  const cursors = await EventCursors.open(registry);
  const keeper = opened.use(new EventKeeper({ registry, clock, kept, log }));
  const deliverer = opened.use(
    await Deliverer.open({ alone: database.url === null, registry, seal, outbound, clock, log, metrics }),
  );
  const feed = opened.use(new EventFeed({ registry, cursors, log, streams, streamsEach }));
  metrics.eventStreams.from(() => [[{}, feed.size]]);
  const all = opened.move();
  return {
    events: { feed, cursors },
    webhooks: { registry, seal, outbound, deliverer },
    keeper,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** What a watched custodian says of itself, as an event of the server. */
export function custodyEvent(news: CustodyNews): NewEvent {
  const { custodian } = news;
  return 'fault' in news
    ? { type: 'custody.away', account_id: null, data: { custodian, fault: news.fault, reason: news.reason } }
    : { type: 'custody.back', account_id: null, data: { custodian, seconds: news.seconds } };
}
