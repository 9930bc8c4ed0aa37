// The form that makes an account: its name, and whether it is for trying out or for a fleet, with the guide's reasons.

import { Button, Group, Radio, Stack, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { type Answer, answerOf, api } from '../../api/client.ts';
import { Failure } from '../../parts/failure.tsx';
import { texts } from '../../texts.ts';

type Kind = Answer<'createAccount'>['kind'];
const kinds: readonly Kind[] = ['test', 'production'];

export interface AccountFormProps {
  readonly onMade: (name: string) => void;
  /** What the button says. */
  readonly button?: string;
  /** Stands beside the button. */
  readonly children?: ReactNode;
}

/** What was typed stays when it is refused. */
export function AccountForm({ onMade, button = texts.accounts.create, children }: AccountFormProps) {
  const said = texts.accounts;
  const client = useQueryClient();
  const [name, setName] = useState('');
  const [kind, setKind] = useState<Kind>('test');
  const making = useMutation({
    mutationFn: () => answerOf(api.POST('/api/v1/accounts', { body: { name: name.trim(), kind } })),
    async onSuccess(made) {
      await Promise.all([
        client.invalidateQueries({ queryKey: ['accounts'] }),
        client.invalidateQueries({ queryKey: ['/server', 'accounts'] }),
      ]);
      onMade(made.name);
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        making.mutate();
      }}
    >
      <Stack>
        <TextInput
          label={said.name}
          description={said.nameAbout}
          value={name}
          onChange={({ currentTarget: { value } }) => setName(value)}
          required
          withAsterisk={false}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          data-autofocus
        />
        <Radio.Group label={said.kindQuestion} value={kind} onChange={setKind}>
          <Stack gap="sm" pt="xs">
            {kinds.map((each) => (
              <Radio key={each} value={each} label={said.kindChoices[each]} description={said.kindReasons[each]} />
            ))}
          </Stack>
        </Radio.Group>
        <Failure error={making.error} />
        <Group justify="flex-end">
          {children}
          <Button type="submit" loading={making.isPending}>
            {button}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
