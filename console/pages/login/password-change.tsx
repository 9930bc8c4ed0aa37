// Another password in place of the present one.

import { Alert, Button, Group, Stack } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api } from '../../api/client.ts';
import { Failure } from '../../parts/failure.tsx';
import { Section } from '../../parts/section.tsx';
import { texts } from '../../texts.ts';
import { NewPassword, Password, typedNothing } from './password.tsx';

export function PasswordChange() {
  const said = texts.login;
  const client = useQueryClient();
  const [old, setOld] = useState('');
  const [typed, setTyped] = useState(typedNothing);
  const changing = useMutation({
    mutationFn: () => answerOf(api.PUT('/api/v1/session/password', { body: { old, new: typed.first } })),
    async onSuccess() {
      setOld('');
      setTyped(typedNothing);
      await client.invalidateQueries({ queryKey: ['own', 'sessions'] });
    },
  });
  return (
    <Section title={said.changePassword} about={said.changePasswordAbout}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          changing.mutate();
        }}
      >
        <Stack maw={480}>
          <Password label={said.presentPassword} value={old} onValue={setOld} />
          <NewPassword typed={typed} onTyped={setTyped} />
          <Failure error={changing.error} />
          <div>
            <div role="status">
              {changing.isSuccess && (
                <Alert color="teal" variant="outline" mb="md">
                  {said.passwordChanged}
                </Alert>
              )}
            </div>
            <Group>
              <Button type="submit" loading={changing.isPending}>
                {said.changePassword}
              </Button>
            </Group>
          </div>
        </Stack>
      </form>
    </Section>
  );
}
