// What the API said of a call that was not done, and what to do.

import { Alert, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { Refused } from '../api/client.ts';
import { texts } from '../texts.ts';
import { Copy } from './copy.tsx';
import { Said } from './said.tsx';

/** Shows an error as the API told it; nothing without one. It is read out when it appears. */
export function Failure({ error, title = texts.common.notDone }: { error: unknown; title?: string }) {
  if (error == null) return null;
  const refused = error instanceof Refused ? error : null;
  const message = error instanceof Error ? error.message : texts.common.notDone;
  return (
    <Alert color="red" variant="outline" icon={<IconAlertTriangle aria-hidden />} title={title} role="alert">
      <Text size="sm">
        <Said text={message} />
      </Text>
      {refused?.hint != null && (
        <Text size="sm">
          <Said text={refused.hint} />
        </Text>
      )}
      {refused !== null && (
        <Text size="xs" c="dimmed">
          {refused.code}
          {refused.requestId !== null && (
            <>
              {' · '}
              <Copy value={refused.requestId} what={texts.common.requestId} />
            </>
          )}
        </Text>
      )}
    </Alert>
  );
}
