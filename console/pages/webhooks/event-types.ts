// The types of events that a webhook can choose among, by what they are about.

import { texts } from '../../texts.ts';

export type EventType = keyof typeof texts.webhooks.eventAbout;

const all = Object.keys(texts.webhooks.eventAbout) as EventType[];
/** What is told of the server as a whole, and never of an account. */
const ofServer = new Set(['custody', 'audit', 'backup', 'server']);
const groupOf = (type: EventType) => type.split('.')[0] as keyof typeof texts.webhooks.groups;

/** The types of an account's events, or of all, in groups with their names. */
export function typeGroups(account: string | null): { readonly name: string; readonly types: readonly EventType[] }[] {
  const offered = all.filter((type) => account === null || !ofServer.has(groupOf(type)));
  return Map.groupBy(offered, groupOf)
    .entries()
    .map(([group, types]) => ({ name: texts.webhooks.groups[group], types }))
    .toArray();
}
