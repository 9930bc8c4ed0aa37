// A new operator of the server: with a link that makes their password, or a password that is chosen for them.

import { Button, Checkbox, Group, Modal, Radio, Stack, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, type Schema } from '../../api/client.ts';
import { Failure } from '../../parts/failure.tsx';
import { texts } from '../../texts.ts';
import { Password } from '../login/password.tsx';

export interface NewOperatorProps {
  readonly onMade: (operator: Schema<'InvitedOperator'>) => void;
  readonly onClose: () => void;
}

/** The dialog. What was typed stays when the call is refused. */
export function NewOperator({ onMade, onClose }: NewOperatorProps) {
  const [name, setName] = useState('');
  const [administrator, setAdministrator] = useState(false);
  const [how, setHow] = useState('invite');
  const [password, setPassword] = useState('');
  const said = texts.operators;
  const making = useMutation({
    mutationFn: () =>
      answerOf(
        api.POST('/api/v1/operators', {
          body: { name: name.trim(), administrator, ...(how === 'password' && { password }) },
        }),
      ),
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
          <Checkbox
            label={said.administratorChoice}
            description={said.administratorAbout}
            checked={administrator}
            onChange={({ currentTarget: { checked } }) => setAdministrator(checked)}
          />
          <Radio.Group label={said.how} value={how} onChange={setHow}>
            <Stack gap="xs" mt={4}>
              <Radio value="invite" label={said.howChoices.invite} />
              <Radio value="password" label={said.howChoices.password} />
            </Stack>
          </Radio.Group>
          {how === 'password' && (
            <Password
              label={said.password}
              description={said.passwordAbout}
              value={password}
              onValue={setPassword}
              autoComplete="new-password"
            />
          )}
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
