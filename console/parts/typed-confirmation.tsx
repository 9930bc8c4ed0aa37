// A grave act of which the API has no dry run: what follows is said, then its name is typed.

import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { texts } from '../texts.ts';
import { Failure } from './failure.tsx';
import { TypedWord } from './typed-word.tsx';

export interface TypedConfirmationProps {
  /** What is done, as the button says it: "Forget node-2". */
  readonly title: string;
  readonly about: ReactNode;
  /** What has to be typed. */
  readonly typed: string;
  readonly act: () => Promise<unknown>;
  /** After it was done. */
  readonly onDone?: () => void;
  readonly onClose: () => void;
}

/** The dialog, open while it is shown. What was typed stays when the call is refused. With a dry run it is Destructive. */
export function TypedConfirmation({ title, about, typed, act, onDone, onClose }: TypedConfirmationProps) {
  const [text, setText] = useState('');
  const doing = useMutation({
    mutationFn: act,
    onSuccess() {
      onClose();
      onDone?.();
    },
  });
  return (
    <Modal opened onClose={onClose} title={title} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (text === typed) doing.mutate();
        }}
      >
        <Stack>
          <Text>{about}</Text>
          <TypedWord typed={typed} value={text} onChange={setText} />
          <Failure error={doing.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {texts.common.cancel}
            </Button>
            <Button type="submit" color="red" disabled={text !== typed} loading={doing.isPending}>
              {title}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
