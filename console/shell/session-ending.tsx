// A session that nobody uses ends soon: said two minutes before, so that who is still there goes on by a key.

import { Alert, Button, Group, Text } from '@mantine/core';
import { useEffect, useState } from 'react';
import { answerOf, api, lastUsed } from '../api/client.ts';
import { useSession } from '../api/session.tsx';
import { texts } from '../texts.ts';

/** So long before the end, in milliseconds: up to a minute of use is not written down by the server. */
const before = 180_000;
const lookEvery = 5_000;

export function SessionEnding() {
  const { session, ended } = useSession();
  const lasts = session?.lasts ?? null;
  const [ending, setEnding] = useState(false);
  useEffect(() => {
    if (lasts === null || ended) return undefined;
    const look = (): void => setEnding(Date.now() - lastUsed() > lasts - before);
    const timer = setInterval(look, lookEvery);
    return () => {
      clearInterval(timer);
      setEnding(false);
    };
  }, [lasts, ended]);
  useEffect(() => {
    if (!ending) return undefined;
    // Any call makes it last. One that is refused has the end shown.
    const goOn = (): void =>
      void answerOf(api.GET('/api/v1/session')).then(
        () => setEnding(false),
        () => undefined,
      );
    // Wherever the focus is: a dialog keeps it from the button.
    const does = ['keydown', 'click'] as const;
    for (const each of does) window.addEventListener(each, goOn);
    return () => {
      for (const each of does) window.removeEventListener(each, goOn);
    };
  }, [ending]);
  if (!ending || ended) return null;
  const said = texts.shell;
  return (
    <Alert role="alert" color="yellow" variant="outline" title={said.ending} className="session-ending">
      <Group justify="space-between">
        <Text size="sm">{said.endingText}</Text>
        <Button variant="default">{said.stay}</Button>
      </Group>
    </Alert>
  );
}
