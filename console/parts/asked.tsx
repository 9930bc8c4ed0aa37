// What was asked of the API, once it is there: a placeholder until then, the refusal where it is one.

import { Skeleton, Stack } from '@mantine/core';
import type { ReactNode } from 'react';
import { Refused } from '../api/client.ts';
import { texts } from '../texts.ts';
import { Failure } from './failure.tsx';

/** Shows `children` of the answer. What was there stays while it is asked for again, with the error if that fails. */
export function Asked<T>({
  query,
  children,
  lines = 4,
}: {
  query: { readonly data: T | undefined; readonly error: Error | null };
  children: (data: T) => ReactNode;
  lines?: number;
}) {
  const { error } = query;
  // Whoever may not see it any more does not go on seeing it.
  const withdrawn = error instanceof Refused && (error.status === 403 || error.status === 404);
  const data = withdrawn ? undefined : query.data;
  if (data === undefined && error === null) {
    return (
      <Stack role="status" data-asking>
        <span className="visually-hidden">{texts.common.loading}</span>
        {Array.from({ length: lines }, (_, line) => (
          <Skeleton key={line} height={24} />
        ))}
      </Stack>
    );
  }
  return (
    <>
      <Failure error={error} title={texts.common.notRead} />
      {data !== undefined && children(data)}
    </>
  );
}
