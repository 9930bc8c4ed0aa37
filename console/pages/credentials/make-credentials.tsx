// Making a credentials.zip: where devices call, and on a test account what its new provisioning key is held to.

import { Alert, Button, Group, Modal, NumberInput, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { type Answer, answerOf, api, type Schema } from '../../api/client.ts';
import { Failure } from '../../parts/failure.tsx';
import { useZone } from '../../parts/instant.tsx';
import { texts } from '../../texts.ts';
import { HostChoice, usualHost } from './host-choice.tsx';

const said = texts.credentials;

/** What is typed; what is empty is left to the server. */
const nothing = { description: '', until: '', uses: '' as number | string, pattern: '', networks: '' };

export function MakeCredentials({
  account,
  onMade,
  onClose,
}: {
  account: Pick<Schema<'Account'>, 'name' | 'kind' | 'hosts'>;
  onMade: (made: Answer<'createCredentials'>) => void;
  onClose: () => void;
}) {
  const [zone] = useZone();
  const [host, setHost] = useState(usualHost(account.hosts));
  const [typed, setTyped] = useState(nothing);
  const set = (some: Partial<typeof nothing>) => setTyped((before) => ({ ...before, ...some }));
  const production = account.kind === 'production';
  const making = useMutation({
    mutationFn: () => {
      const { description, until, uses, pattern, networks } = typed;
      const those = networks.split(/[\s,]+/).filter((network) => network !== '');
      return answerOf(
        api.POST('/api/v1/accounts/{account}/credentials', {
          params: { path: { account: account.name } },
          body: {
            host,
            ...(description !== '' && { description }),
            // The whole of that day, in the zone that the reader reads in.
            ...(until !== '' && { not_after: new Date(`${until}T23:59:59${zone === 'utc' ? 'Z' : ''}`).toISOString() }),
            ...(uses !== '' && { max_uses: Number(uses) }),
            ...(pattern !== '' && { device_id_pattern: pattern }),
            ...(those.length > 0 && { networks: those }),
          },
        }),
      );
    },
    onSuccess: onMade,
  });
  return (
    <Modal opened onClose={onClose} title={said.make} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          making.mutate();
        }}
      >
        <Stack>
          {production ? (
            <Alert color="gray" variant="outline" title={said.withoutKey}>
              {said.withoutKeyText}
            </Alert>
          ) : (
            <Text size="sm">{said.makeAbout}</Text>
          )}
          <HostChoice hosts={account.hosts} value={host} onChange={setHost} />
          {!production && (
            <>
              <TextInput
                label={said.description}
                description={said.descriptionAbout}
                value={typed.description}
                onChange={({ currentTarget: { value } }) => set({ description: value })}
                data-autofocus
              />
              <TextInput
                type="date"
                label={said.until}
                description={said.untilAbout}
                value={typed.until}
                onChange={({ currentTarget: { value } }) => set({ until: value })}
              />
              <NumberInput
                label={said.maxUses}
                description={said.maxUsesAbout}
                value={typed.uses}
                onChange={(uses) => set({ uses })}
                min={1}
                allowDecimal={false}
                allowNegative={false}
                hideControls
              />
              <TextInput
                label={said.pattern}
                description={said.patternAbout}
                value={typed.pattern}
                onChange={({ currentTarget: { value } }) => set({ pattern: value })}
                autoComplete="off"
                spellCheck={false}
              />
              <Textarea
                label={said.networks}
                description={said.networksAbout}
                value={typed.networks}
                onChange={({ currentTarget: { value } }) => set({ networks: value })}
                autosize
                minRows={2}
                spellCheck={false}
              />
            </>
          )}
          <Failure error={making.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {texts.common.cancel}
            </Button>
            <Button type="submit" loading={making.isPending}>
              {said.makeNow}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
