// A dialog that asks for the present password: who begins or ends a way in says once more who they are.

import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { texts } from '../../texts.ts';
import { Password } from './password.tsx';
import { OwnFailure } from './sign-in-again.tsx';

export interface PasswordDialogProps {
  readonly title: string;
  readonly about?: string;
  /** What the button says, if not the title. */
  readonly button?: string;
  readonly color?: string;
  readonly act: (password: string) => Promise<unknown>;
  readonly onClose: () => void;
  /** Further fields, above the password. */
  readonly children?: ReactNode;
}

/** Open while it is shown, until `act` is done. What was typed stays when it is refused. */
export function PasswordDialog({ title, about, button = title, color, act, onClose, children }: PasswordDialogProps) {
  const [password, setPassword] = useState('');
  const acting = useMutation({ mutationFn: () => act(password), onSuccess: onClose });
  return (
    <Modal opened onClose={onClose} title={title}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          acting.mutate();
        }}
      >
        <Stack>
          {about !== undefined && <Text>{about}</Text>}
          {children}
          <Password
            label={texts.login.presentPassword}
            value={password}
            onValue={setPassword}
            data-autofocus={children === undefined || undefined}
          />
          <OwnFailure error={acting.error} onSignedIn={acting.reset} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {texts.common.cancel}
            </Button>
            <Button type="submit" loading={acting.isPending} {...(color !== undefined && { color })}>
              {button}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
