// A question before something is done that breaks nothing.

import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { type QueryKey, useMutation, useQueryClient } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Failure } from './failure.tsx';
import { texts } from '../texts.ts';

/** `touches` are the keys of what is asked for again afterwards. Where `ready` is false, something has to be filled in first. */
export function Confirm({
  title,
  button,
  touches,
  ready = true,
  act,
  onDone,
  onClose,
  children,
  focused = typeof children === 'string',
}: {
  title: string;
  button: string;
  touches: readonly QueryKey[];
  ready?: boolean;
  act: () => Promise<unknown>;
  onDone?: () => void;
  onClose: () => void;
  children: ReactNode;
  /** Whether the button that does it has the focus: where there is nothing to be filled in before. */
  focused?: boolean;
}) {
  const client = useQueryClient();
  const doing = useMutation({
    mutationFn: act,
    async onSuccess() {
      onDone?.();
      onClose();
      await Promise.all(touches.map((queryKey) => client.invalidateQueries({ queryKey })));
    },
  });
  return (
    <Modal opened onClose={onClose} title={title} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (ready) doing.mutate();
        }}
      >
        <Stack>
          {typeof children === 'string' ? <Text>{children}</Text> : children}
          <Failure error={doing.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {texts.common.cancel}
            </Button>
            <Button
              type="submit"
              disabled={!ready}
              loading={doing.isPending}
              {...(focused && { 'data-autofocus': true })}
            >
              {button}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
