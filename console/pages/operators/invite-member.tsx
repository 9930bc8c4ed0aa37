// Somebody is given a role in an account, and a link where they are new.

import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, type Schema } from '../../api/client.ts';
import { Failure } from '../../parts/failure.tsx';
import { texts } from '../../texts.ts';
import { type AccountRole, accountRoles, RoleChoice } from './role-choice.tsx';

export interface InviteMemberProps {
  readonly account: string;
  readonly onInvited: (member: Schema<'InvitedMember'>) => void;
  readonly onClose: () => void;
}

/** The dialog. What was typed stays when the call is refused. */
export function InviteMember({ account, onInvited, onClose }: InviteMemberProps) {
  const [name, setName] = useState('');
  const [role, setRole] = useState<AccountRole>('operator');
  const said = texts.operators;
  const inviting = useMutation({
    mutationFn: () =>
      answerOf(
        api.POST('/api/v1/accounts/{account}/operators', {
          params: { path: { account } },
          body: { name: name.trim(), role },
        }),
      ),
    onSuccess: onInvited,
  });
  return (
    <Modal opened onClose={onClose} title={said.invite} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          inviting.mutate();
        }}
      >
        <Stack>
          <Text size="sm">{said.inviteAbout}</Text>
          <TextInput
            label={said.name}
            description={said.nameAbout}
            value={name}
            onChange={({ currentTarget: { value } }) => setName(value)}
            required
            maxLength={128}
            autoComplete="off"
            spellCheck={false}
            data-autofocus
          />
          <RoleChoice roles={accountRoles} value={role} onChange={setRole} />
          <Failure error={inviting.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {texts.common.cancel}
            </Button>
            <Button type="submit" loading={inviting.isPending}>
              {said.inviteDo}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
