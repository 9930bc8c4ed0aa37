// Lets one device come back under another Fleet Root CA: which one, then what that would break, then its ID is typed.

import { Button, Group, Modal, NativeSelect, Stack, Text } from '@mantine/core';
import { useState } from 'react';
import { answerOf, api, deviceName, type Impact } from '../../api/client.ts';
import { useFleetRootCas } from '../../api/queries.ts';
import type { OfAccount } from '../../app.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Destructive } from '../../parts/destructive.tsx';
import { drawn } from '../../parts/drawn.ts';
import { texts } from '../../texts.ts';
import type { OfDevice } from './device.tsx';

const said = texts.device;

/** `leadsTo` says of a name whether it is of the one that it shall move to, as far as that is known. */
export function MoveRoot({
  account,
  device,
  leadsTo,
  onDone,
  onClose,
}: OfAccount & {
  device: Pick<OfDevice['device'], 'uuid' | 'device_id' | 'fleet_root_ca' | 'allowed_fleet_root_ca'>;
  leadsTo?: (name: string) => boolean;
  onDone: () => Promise<void>;
  onClose: () => void;
}) {
  const roots = useFleetRootCas(account);
  const [picked, setPicked] = useState('');
  const [chosen, setChosen] = useState<string | null>(null);
  const move = (query: { dry_run: true } | { confirm: number }) =>
    answerOf(
      api.POST('/api/v1/accounts/{account}/devices/{device}/move-root', {
        params: { path: { account, device: deviceName(device.uuid) }, query },
        body: { fleet_root_ca: chosen! },
      }),
    );
  const nameOf = (id: string) => roots.data?.find((root) => root.id === id)?.name ?? id;
  if (chosen !== null) {
    return (
      <Destructive
        title={said.moveTo(drawn(device.device_id), nameOf(chosen))}
        about={said.moveAbout}
        typed={device.device_id}
        preview={() => move({ dry_run: true }) as Promise<Impact>}
        act={async (confirm) => {
          await move({ confirm });
          await onDone();
        }}
        onClose={onClose}
      />
    );
  }
  return (
    <Modal opened onClose={onClose} title={said.actions.move} size="lg">
      <Asked query={roots}>
        {(all) => {
          // To its own is the way to take the permission back.
          const data = all
            .filter(({ id, state }) =>
              id === device.fleet_root_ca ? device.allowed_fleet_root_ca !== null : state !== 'disabled',
            )
            .map(({ id, name }) => ({ value: id, label: id === device.fleet_root_ca ? said.moveBack(name) : name }));
          const likely = all.find(({ name }) => leadsTo?.(name))?.id;
          const value = picked || (data.find((each) => each.value === likely) ?? data[0])?.value || '';
          return (
            <Stack>
              <Text>{said.moveAbout}</Text>
              {data.length === 0 ? (
                <Text>{said.moveNowhere}</Text>
              ) : (
                <NativeSelect
                  label={texts.devices.fleetRootCa}
                  value={value}
                  data={data}
                  onChange={({ currentTarget }) => setPicked(currentTarget.value)}
                  data-autofocus
                />
              )}
              <Group justify="flex-end">
                <Button variant="default" onClick={onClose}>
                  {texts.common.cancel}
                </Button>
                <Button disabled={data.length === 0} onClick={() => setChosen(value)}>
                  {said.next}
                </Button>
              </Group>
            </Stack>
          );
        }}
      </Asked>
    </Modal>
  );
}
