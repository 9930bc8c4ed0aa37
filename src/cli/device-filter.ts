// Which devices of an account are meant on a command line: the options of lists, counts, exports and bulk changes.

import { choice, flag, instant, past, repeated, text } from './parameters.ts';

const deviceStates = ['pending', 'active', 'suspended', 'revoked'] as const;

/** The options of a filter. */
export const filterOptions = {
  state: repeated(choice(deviceStates, 'those in this state; may stand several times')),
  method: choice(['shared', 'device'], 'how they came'),
  'fleet-root': text('CA', 'those under this Fleet Root CA: its ID, name or SHA-256'),
  intermediate: text('SHA256|SUBJECT', 'those whose certificate was issued below this intermediate'),
  'provisioning-key': text('ID', 'those that this provisioning key made'),
  label: repeated(text('NAME=VALUE', 'those with this label, or NAME alone; several: with all of them')),
  'expires-before': instant('30d', 'those whose certificate ends before'),
  'expires-after': instant('30d', 'those whose certificate ends then or later'),
  'last-seen-before': past('7d', 'those last seen before'),
  'last-seen-after': past('7d', 'those last seen then or later'),
  'never-seen': flag('those that never connected with a certificate of their own'),
  'first-seen-before': past('7d', 'those that joined before'),
  'first-seen-after': past('7d', 'those that joined then or later'),
  prefix: text('TEXT', 'those whose device ID begins so'),
  text: text('TEXT', 'those with this in their device ID, in small letters or capitals'),
};

/** What was given of them. */
export interface GivenFilter {
  readonly state: string[];
  readonly method: string | undefined;
  readonly 'fleet-root': string | undefined;
  readonly intermediate: string | undefined;
  readonly 'provisioning-key': string | undefined;
  readonly label: string[];
  readonly 'expires-before': string | undefined;
  readonly 'expires-after': string | undefined;
  readonly 'last-seen-before': string | undefined;
  readonly 'last-seen-after': string | undefined;
  readonly 'never-seen': boolean;
  readonly 'first-seen-before': string | undefined;
  readonly 'first-seen-after': string | undefined;
  readonly prefix: string | undefined;
  readonly text: string | undefined;
}

/** A filter as the API takes it, in a query or a body. */
export type Filter = Readonly<Record<string, string | string[] | true>>;

/** The filter as the API takes it; only what was given. */
export function filterOf(given: GivenFilter): Filter {
  const members: Record<string, string | string[] | true | undefined> = {
    state: given.state.length > 0 ? given.state : undefined,
    method: given.method,
    fleet_root_ca: given['fleet-root'],
    intermediate: given.intermediate,
    provisioning_key: given['provisioning-key'],
    // The first equals sign is ours; a value may have more.
    label: given.label.length > 0 ? given.label.map((label) => label.replace('=', ':')) : undefined,
    certificate_expires_before: given['expires-before'],
    certificate_expires_after: given['expires-after'],
    last_seen_before: given['last-seen-before'],
    last_seen_after: given['last-seen-after'],
    never_seen: given['never-seen'] || undefined,
    first_seen_before: given['first-seen-before'],
    first_seen_after: given['first-seen-after'],
    prefix: given.prefix,
    text: given.text,
  };
  return Object.fromEntries(
    Object.entries(members).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
