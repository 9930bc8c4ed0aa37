// The way to the next page of a list, while there is one.

import { Button, Group } from '@mantine/core';
import { texts } from '../texts.ts';

export interface MoreProps {
  /** What `useInfiniteQuery` gave. */
  readonly query: {
    readonly hasNextPage: boolean;
    readonly isFetchingNextPage: boolean;
    readonly fetchNextPage: () => unknown;
  };
}

export function More({ query: { hasNextPage, isFetchingNextPage, fetchNextPage } }: MoreProps) {
  if (!hasNextPage) return null;
  return (
    <Group justify="center">
      <Button variant="default" onClick={() => fetchNextPage()} loading={isFetchingNextPage}>
        {texts.common.more}
      </Button>
    </Group>
  );
}
