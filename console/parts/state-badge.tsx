// The state of a device, a CA, a key, a webhook: a word in a colour, never a colour alone.

import { Badge } from '@mantine/core';
import { texts } from '../texts.ts';

const colours: Readonly<Record<string, string>> = {
  active: 'teal',
  current: 'teal',
  held: 'teal',
  delivered: 'teal',
  pending: 'yellow',
  closed: 'yellow',
  expiring: 'yellow',
  suspended: 'orange',
  superseded: 'gray',
  disabled: 'red',
  revoked: 'red',
  failed: 'red',
  expired: 'red',
  exhausted: 'red',
};

/** Shows a state by its name in the API. */
export function StateBadge({ state }: { state: string }) {
  return (
    <Badge color={colours[state] ?? 'gray'} variant="outline" className="state-badge">
      {texts.states[state as keyof typeof texts.states] ?? state}
    </Badge>
  );
}
