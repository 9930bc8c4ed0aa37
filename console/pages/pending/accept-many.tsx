// Several are accepted at once: which they are, before it is done.

import { List, Text } from '@mantine/core';
import { Confirm } from '../../parts/confirm.tsx';
import { DeviceId } from '../../parts/device-id.tsx';
import { texts } from '../../texts.ts';
import type { Waiting } from './waiting.ts';

const shown = 10;

export function AcceptMany({
  rows,
  roots,
  act,
  onDone,
  onClose,
}: {
  rows: readonly Waiting[];
  roots: ReadonlyMap<string, string>;
  act: () => Promise<unknown>;
  onDone: () => void;
  onClose: () => void;
}) {
  const said = texts.pending;
  const keys = rows.filter(({ what }) => what === 'key').length;
  const title = said.acceptMany(rows.length);
  return (
    <Confirm title={title} button={title} touches={[]} focused act={act} onDone={onDone} onClose={onClose}>
      <Text>{said.ofWhich(rows.length - keys, keys)}</Text>
      <List size="sm">
        {rows.slice(0, shown).map(({ uuid, deviceId, root }) => (
          <List.Item key={uuid}>
            <DeviceId id={deviceId} />
            {root !== null && roots.has(root) && ` · ${roots.get(root)}`}
          </List.Item>
        ))}
        {rows.length > shown && <List.Item>{said.andMore(rows.length - shown)}</List.Item>}
      </List>
      <Text size="sm">{said.acceptManyAbout}</Text>
    </Confirm>
  );
}
