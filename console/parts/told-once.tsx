// A secret that is told once: it is shown until the reader says that they have it.

import { Alert, Button, Modal, Stack } from '@mantine/core';
import { type ReactNode } from 'react';
import { texts } from '../texts.ts';
import { CopyBlock } from './copy.tsx';

/** The dialog; neither Escape nor a click beside it closes it. A secret that is a file is among `children`. */
export function ToldOnce({
  title,
  what,
  secret,
  children,
  onClose,
}: {
  title: string;
  what: string;
  secret?: string;
  children?: ReactNode;
  onClose: () => void;
}) {
  return (
    <Modal
      opened
      onClose={onClose}
      title={title}
      closeOnEscape={false}
      closeOnClickOutside={false}
      withCloseButton={false}
      size="lg"
    >
      <Stack>
        <Alert color="yellow" variant="outline">
          {texts.common.toldOnce}
        </Alert>
        {secret !== undefined && <CopyBlock value={secret} what={what} />}
        {children}
        <Button onClick={onClose}>{texts.common.kept}</Button>
      </Stack>
    </Modal>
  );
}
