// Another host for an account: a name or an address that its devices call.

import { Button, Group, Stack, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api } from '../../api/client.ts';
import { Failure } from '../../parts/failure.tsx';
import { texts } from '../../texts.ts';

const said = texts.settings;

/** What was typed stays when it is refused. `onAdded` is told the host as the server writes it. */
export function HostForm({ account, onAdded }: { account: string; onAdded?: (host: string) => void }) {
  const client = useQueryClient();
  const [host, setHost] = useState('');
  const adding = useMutation({
    mutationFn: () =>
      answerOf(
        api.POST('/api/v1/accounts/{account}/hosts', { params: { path: { account } }, body: { host: host.trim() } }),
      ),
    onSuccess(changed) {
      client.setQueryData([account, 'account'], changed);
      onAdded?.(changed.hosts.at(-1)!);
      setHost('');
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        adding.mutate();
      }}
    >
      <Stack gap="sm" maw={560}>
        <Group align="flex-end" gap="sm">
          <TextInput
            flex="1 1 14rem"
            label={said.hostNew}
            description={said.hostNewAbout}
            value={host}
            onChange={({ currentTarget: { value } }) => setHost(value)}
            required
            withAsterisk={false}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
          />
          <Button type="submit" variant="default" loading={adding.isPending}>
            {said.hostAdd}
          </Button>
        </Group>
        <Failure error={adding.error} />
      </Stack>
    </form>
  );
}
