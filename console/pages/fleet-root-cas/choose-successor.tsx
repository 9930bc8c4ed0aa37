// Which Fleet Root CA shall succeed one: devices that come under it with the same ID are then the same devices.

import { Button, Group, Modal, NativeSelect, Stack, Text } from '@mantine/core';
import { useState } from 'react';
import { texts } from '../../texts.ts';
import type { FleetRootCa } from './changes.ts';

const said = texts.fleetRootCas;

export function ChooseSuccessor({
  ca,
  all,
  onChosen,
  onClose,
}: {
  ca: FleetRootCa;
  all: readonly FleetRootCa[];
  onChosen: (successor: FleetRootCa) => void;
  onClose: () => void;
}) {
  const others = all.filter(({ id }) => id !== ca.id);
  const [chosen, setChosen] = useState(ca.successor ?? others[0]?.id ?? '');
  const successor = others.find(({ id }) => id === chosen);
  return (
    <Modal opened onClose={onClose} title={said.successorOf(ca.name)} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (successor) onChosen(successor);
        }}
      >
        <Stack>
          <Text size="sm">{said.abouts.successor}</Text>
          <NativeSelect
            label={said.successor}
            value={chosen}
            onChange={({ currentTarget: { value } }) => setChosen(value)}
            data={others.map(({ id, name, state }) => ({ value: id, label: `${name} (${texts.states[state]})` }))}
            data-autofocus
          />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {texts.common.cancel}
            </Button>
            <Button type="submit">{said.seeFirst}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
