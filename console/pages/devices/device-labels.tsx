// The labels of a device, and the place to change them.

import { ActionIcon, Badge, Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { IconTrash } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import { answerOf, api, deviceName } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { drawn } from '../../parts/drawn.ts';
import { Failure } from '../../parts/failure.tsx';
import { texts } from '../../texts.ts';
import type { OfDevice } from './device.tsx';

const said = texts.device;

export function DeviceLabels({ account, device }: OfDevice) {
  const may = useMay()('updateDevice', account);
  const [editing, setEditing] = useState(false);
  const labels = Object.entries(device.labels);
  return (
    <Group gap="xs">
      <Text size="sm">{texts.devices.labels}:</Text>
      {labels.length === 0 && (
        <Text size="sm" c="dimmed">
          {texts.common.none}
        </Text>
      )}
      {labels.map(([name, value]) => (
        <Badge
          key={name}
          color="gray"
          variant="outline"
          component={Link}
          href={`/accounts/${account}/devices?${new URLSearchParams({ label: `${name}:${value}` })}`}
          className="device-label"
          size="lg"
        >
          {name}: {value}
        </Badge>
      ))}
      {may && (
        <Button variant="default" size="compact-sm" onClick={() => setEditing(true)}>
          {said.editLabels}
        </Button>
      )}
      {editing && <Editor account={account} device={device} onClose={() => setEditing(false)} />}
    </Group>
  );
}

interface Row {
  readonly key: number;
  readonly name: string;
  readonly value: string;
}

/** Sends what has changed alone: those that others have set meanwhile stay. */
function Editor({ account, device, onClose }: OfDevice & { onClose: () => void }) {
  const client = useQueryClient();
  // As they were when the dialog opened.
  const [before] = useState(device.labels);
  const [rows, setRows] = useState<readonly Row[]>(() => [
    ...Object.entries(before).map(([name, value], key) => ({ key, name, value })),
    ...(Object.keys(before).length === 0 ? [{ key: 0, name: '', value: '' }] : []),
  ]);
  const saving = useMutation({
    mutationFn() {
      const now = Object.fromEntries(
        rows.filter(({ name }) => name.trim() !== '').map(({ name, value }) => [name.trim(), value]),
      );
      const labels: Record<string, string | null> = {};
      for (const [name, value] of Object.entries(now)) if (before[name] !== value) labels[name] = value;
      for (const name of Object.keys(before)) if (!(name in now)) labels[name] = null;
      return answerOf(
        api.PATCH('/api/v1/accounts/{account}/devices/{device}', {
          params: { path: { account, device: deviceName(device.uuid) } },
          body: { labels },
        }),
      );
    },
    async onSuccess() {
      await client.invalidateQueries({ queryKey: [account, 'device', device.uuid] });
      void client.invalidateQueries({ queryKey: [account, 'devices'] });
      void client.invalidateQueries({ queryKey: [account, 'audit'] });
      onClose();
    },
  });
  const set = (key: number, change: Partial<Row>) =>
    setRows((now) => now.map((row) => (row.key === key ? { ...row, ...change } : row)));
  return (
    <Modal opened onClose={onClose} title={said.labelsOf(drawn(device.device_id))}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          saving.mutate();
        }}
      >
        <Stack>
          <Text size="sm">{said.labelsText}</Text>
          {rows.map(({ key, name, value }, at) => (
            <Group key={key} align="flex-end" gap="xs" wrap="nowrap">
              <TextInput
                flex={1}
                label={said.labelName}
                value={name}
                maxLength={64}
                onChange={({ currentTarget }) => set(key, { name: currentTarget.value })}
                autoComplete="off"
                {...(at === 0 && { 'data-autofocus': true })}
                // One that was just added.
                autoFocus={key > 0 && key >= Object.keys(before).length}
              />
              <TextInput
                flex={2}
                label={said.labelValue}
                value={value}
                maxLength={256}
                onChange={({ currentTarget }) => set(key, { value: currentTarget.value })}
                autoComplete="off"
              />
              <ActionIcon
                variant="subtle"
                color="gray"
                size="lg"
                aria-label={said.labelRemove(name)}
                onClick={() => setRows((now) => now.filter((row) => row.key !== key))}
              >
                <IconTrash size={16} aria-hidden />
              </ActionIcon>
            </Group>
          ))}
          <Button
            variant="default"
            onClick={() =>
              setRows((now) => [...now, { key: Math.max(-1, ...now.map((row) => row.key)) + 1, name: '', value: '' }])
            }
          >
            {said.labelAdd}
          </Button>
          <Failure error={saving.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {texts.common.cancel}
            </Button>
            <Button type="submit" loading={saving.isPending}>
              {texts.common.save}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
