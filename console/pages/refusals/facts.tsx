// Some names and their values, side by side where there is room.

import { Text } from '@mantine/core';
import type { ReactNode } from 'react';
import './facts.css';

/** `stacked` has them one below the other. */
export function Facts({
  facts,
  stacked = false,
}: {
  facts: readonly (readonly [name: string, value: ReactNode])[];
  stacked?: boolean;
}) {
  return (
    <dl className="facts" data-stacked={stacked || undefined}>
      {facts.map(([name, value]) => (
        <div key={name}>
          <Text component="dt" size="xs" c="dimmed">
            {name}
          </Text>
          <Text component="dd" size="sm">
            {value}
          </Text>
        </div>
      ))}
    </dl>
  );
}
