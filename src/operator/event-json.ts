// Events as operators are told them, in JSON and in a stream (HTML, "Server-sent events").

import type { EventRecord } from '../registry/event-tables.ts';
import { formatInstant } from '../time.ts';
import type { EventCursors } from './event-cursor.ts';
import type { EventJson } from './event-schemas.ts';

/** An event as it is told to those who follow an account, or the server where it is null. */
export function eventJson(cursors: EventCursors, scope: string | null, event: EventRecord): EventJson {
  const { id, type, at, account_id: account, data } = event;
  return { id: cursors.write(scope, id), type, at: formatInstant(at), account, data: JSON.parse(data) };
}

/** The same as a stream has it. JSON holds no line break outside its strings, and none within. */
export function eventFrame(cursors: EventCursors, scope: string | null, event: EventRecord): string {
  const json = eventJson(cursors, scope, event);
  return `id: ${json.id}\nevent: ${json.type}\ndata: ${JSON.stringify(json)}\n\n`;
}

/** What tells that events are missing: they were taken away before they were read. */
export function gapFrame(cursors: EventCursors, scope: string | null, last_id: number): string {
  const detail = 'Events have been taken away that were not read: what they told of is to be read anew.';
  return `id: ${cursors.write(scope, last_id)}\nevent: gap\ndata: ${JSON.stringify({ detail })}\n\n`;
}

/** A comment, which keeps a connection from being taken for dead. */
export const heartbeatFrame = ': still here\n\n';
