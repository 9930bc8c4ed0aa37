// A new token: what it is for, its role, its end.

import { Button, Group, Modal, NativeSelect, Stack, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import type { Schema } from '../../api/client.ts';
import { Failure } from '../../parts/failure.tsx';
import { texts } from '../../texts.ts';
import { RoleChoice } from '../operators/role-choice.tsx';
import type { TokenCalls } from './token-calls.ts';

const day = 86_400_000;
const lives = [7, 30, 90, 180, 365];

export interface NewTokenProps {
  readonly calls: TokenCalls;
  readonly onMade: (token: Schema<'MadeToken'>) => void;
  readonly onClose: () => void;
}

/** The dialog. What was typed stays when the call is refused. */
export function NewToken({ calls, onMade, onClose }: NewTokenProps) {
  const [description, setDescription] = useState('');
  // The smallest role that does is the last of an account's, and the first of the server's.
  const [role, setRole] = useState(calls.roles[calls.account === null ? 0 : calls.roles.length - 1]!);
  const [days, setDays] = useState('90');
  const said = texts.tokens;
  const making = useMutation({
    mutationFn: () =>
      calls.make({
        role,
        description: description.trim(),
        not_after: new Date(Date.now() + Number(days) * day).toISOString(),
      }),
    onSuccess: onMade,
  });
  return (
    <Modal opened onClose={onClose} title={said.create} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          making.mutate();
        }}
      >
        <Stack>
          <Text size="sm">{said.createAbout}</Text>
          <TextInput
            label={said.description}
            description={said.descriptionAbout}
            value={description}
            onChange={({ currentTarget: { value } }) => setDescription(value)}
            required
            maxLength={200}
            autoComplete="off"
            data-autofocus
          />
          <RoleChoice roles={calls.roles} value={role} onChange={setRole} />
          <NativeSelect
            label={said.endsAfter}
            value={days}
            onChange={({ currentTarget: { value } }) => setDays(value)}
            data={lives.map((life) => ({ value: String(life), label: said.days(life) }))}
          />
          <Failure error={making.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {texts.common.cancel}
            </Button>
            <Button type="submit" loading={making.isPending}>
              {said.createDo}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
