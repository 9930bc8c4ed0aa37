// A question before something that shuts nobody out.

import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { Failure } from '../../parts/failure.tsx';
import { texts } from '../../texts.ts';

export function Confirm({
  title,
  text,
  mutation,
  onConfirm,
  onClose,
}: {
  title: string;
  text: string;
  mutation: { readonly error: Error | null; readonly isPending: boolean };
  onConfirm: () => void;
  onClose: () => void;
}) {
  return (
    <Modal opened onClose={onClose} title={title}>
      <Stack>
        <Text>{text}</Text>
        <Failure error={mutation.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {texts.common.cancel}
          </Button>
          <Button onClick={onConfirm} loading={mutation.isPending} data-autofocus>
            {title}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
