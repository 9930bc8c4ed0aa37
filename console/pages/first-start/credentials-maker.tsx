// Makes credentials.zip for the host that the device is to call, and has it saved.

import { Alert, Button, Group, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, type Schema } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { bytesOf, download } from '../../parts/download.ts';
import { Failure } from '../../parts/failure.tsx';
import { texts } from '../../texts.ts';
import { HostChoice, usualHost } from '../credentials/host-choice.tsx';
import { HostForm } from '../settings/host-form.tsx';

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
  const [host, setHost] = useState(usualHost(hosts));
  const making = useMutation({
    mutationFn: () =>
      answerOf(
        api.POST('/api/v1/accounts/{account}/credentials', {
          params: { path: { account: name } },
          body: {
            host,
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
      <HostChoice hosts={hosts} value={host} onChange={setHost} />
      {host.endsWith('.localhost') && (
        <Text size="sm" maw={760}>
          {said.hostLocal}
        </Text>
      )}
      {may('addHost') && <HostForm account={name} onAdded={setHost} />}
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
