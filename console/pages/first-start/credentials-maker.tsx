// Makes credentials.zip for the host that the device is to call, and has it saved.

import { Alert, Button, Group, Select, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, type Schema } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { bytesOf, download } from '../../parts/download.ts';
import { Failure } from '../../parts/failure.tsx';
import { texts } from '../../texts.ts';

const save = (zip: string) => download('credentials.zip', bytesOf(zip), 'application/zip');

/** `onMade` is told the entries of the archive. */
export function CredentialsMaker({
  account,
  onMade,
}: {
  account: Schema<'Account'>;
  onMade: (entries: readonly string[]) => void;
}) {
  const said = texts.firstStart;
  const may = useMay();
  const client = useQueryClient();
  const { name, kind, hosts } = account;
  const [chosen, setChosen] = useState<string | null>(null);
  // As the API has it: the one that was added last.
  const host = chosen ?? hosts.at(-1) ?? null;
  const making = useMutation({
    mutationFn: () =>
      answerOf(
        api.POST('/api/v1/accounts/{account}/credentials', {
          params: { path: { account: name } },
          body: {
            ...(host !== null && { host }),
            ...(kind === 'test' && { description: said.credentialsDescription }),
          },
        }),
      ),
    onSuccess({ zip, entries }) {
      save(zip);
      onMade(entries);
      return client.invalidateQueries({ queryKey: [name, 'provisioning-keys'] });
    },
  });
  if (!may('createCredentials', name)) return <Text>{said.credentialsNot}</Text>;
  return (
    <Stack gap="md">
      <Select
        label={said.host}
        description={said.hostAbout}
        data={[...hosts]}
        value={host}
        onChange={setChosen}
        allowDeselect={false}
        maw={560}
      />
      {host?.endsWith('.localhost') && (
        <Text size="sm" maw={760}>
          {said.hostLocal}
        </Text>
      )}
      {may('addHost') && <NewHost account={name} onAdded={setChosen} />}
      <Failure error={making.error} />
      <div>
        <div role="status">
          {making.data && (
            <Alert color="teal" variant="outline" mb="md" title={said.credentialsMade}>
              {kind === 'test' ? said.credentialsMadeShared : said.credentialsMadeDevice}
            </Alert>
          )}
        </div>
        <Group>
          {making.data && <Button onClick={() => save(making.data.zip)}>{said.credentialsSave}</Button>}
          <Button
            {...(making.data && { variant: 'default' })}
            onClick={() => making.mutate()}
            loading={making.isPending}
          >
            {making.data ? said.credentialsAgain : said.credentialsMake}
          </Button>
        </Group>
      </div>
    </Stack>
  );
}

function NewHost({ account, onAdded }: { account: string; onAdded: (host: string) => void }) {
  const said = texts.firstStart;
  const client = useQueryClient();
  const [host, setHost] = useState('');
  const adding = useMutation({
    mutationFn: () =>
      answerOf(
        api.POST('/api/v1/accounts/{account}/hosts', { params: { path: { account } }, body: { host: host.trim() } }),
      ),
    onSuccess(changed) {
      client.setQueryData([account, 'account'], changed);
      onAdded(changed.hosts.at(-1)!);
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
