// All back ends of the open-source deployment at once: first by which URL, then what that changes, typed.

import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { answerOf, api, type Impact } from '../../api/client.ts';
import { Destructive } from '../../parts/destructive.tsx';
import { texts } from '../../texts.ts';

const said = texts.settings.backEnds;

export function PresetForm({
  account,
  name,
  onDone,
  onClose,
}: {
  account: string;
  name: string;
  onDone: () => void;
  onClose: () => void;
}) {
  const [base, setBase] = useState('');
  const [looking, setLooking] = useState(false);
  const call = (query: { dry_run: true } | { confirm: number }) =>
    answerOf(
      api.POST('/api/v1/accounts/{account}/upstreams/preset', {
        params: { path: { account }, query },
        body: { preset: 'ota-community', base: base.trim() },
      }),
    );
  if (looking) {
    return (
      <Destructive
        title={said.presetDo}
        about={said.presetMeans(base.trim())}
        typed={name}
        preview={() => call({ dry_run: true }) as Promise<Impact>}
        act={(confirm) => call({ confirm })}
        onDone={() => {
          onDone();
          onClose();
        }}
        onClose={() => setLooking(false)}
      />
    );
  }
  return (
    <Modal opened onClose={onClose} title={said.preset} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          setLooking(true);
        }}
      >
        <Stack>
          <Text size="sm">{said.presetAbout}</Text>
          <TextInput
            label={said.base}
            description={said.baseAbout}
            value={base}
            onChange={({ currentTarget: { value } }) => setBase(value)}
            required
            autoComplete="off"
            spellCheck={false}
            data-autofocus
          />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {texts.common.cancel}
            </Button>
            <Button type="submit">{said.look}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
