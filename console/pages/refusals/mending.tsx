// A button that mends something, and what follows of it once that is done.

import { Alert, Button } from '@mantine/core';
import { type ReactNode, useState } from 'react';

/** `children` is the dialog that it opens. */
export function Mending({
  button,
  done,
  children,
}: {
  button: string;
  done: string;
  children: (close: () => void, onDone: () => void) => ReactNode;
}) {
  const [opened, setOpened] = useState(false);
  const [isDone, setDone] = useState(false);
  return (
    <>
      {!isDone ? (
        <Button onClick={() => setOpened(true)}>{button}</Button>
      ) : (
        <Alert color="teal" variant="outline" role="status" p="xs">
          {done}
        </Alert>
      )}
      {opened &&
        children(
          () => setOpened(false),
          () => setDone(true),
        )}
    </>
  );
}
