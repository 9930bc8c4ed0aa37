// Several are accepted at once: which they are, before it is done.

import { Button, Group, List, Modal, Stack, Text } from '@mantine/core';
import { Failure } from '../../parts/failure.tsx';
import { texts } from '../../texts.ts';
import type { Waiting } from './waiting.ts';

const shown = 10;

export function AcceptMany({
  rows,
  roots,
  error,
  busy,
  onAccept,
  onClose,
}: {
  rows: readonly Waiting[];
  roots: ReadonlyMap<string, string>;
  error: unknown;
  busy: boolean;
  onAccept: () => void;
  onClose: () => void;
}) {
  const said = texts.pending;
  const keys = rows.filter(({ what }) => what === 'key').length;
  return (
    <Modal opened onClose={onClose} title={said.acceptMany(rows.length)} size="lg">
      <Stack>
        <Text>{said.ofWhich(rows.length - keys, keys)}</Text>
        <List size="sm">
          {rows.slice(0, shown).map(({ uuid, deviceId, root }) => (
            <List.Item key={uuid}>
              <span className="mono">{deviceId}</span>
              {root !== null && roots.has(root) && ` · ${roots.get(root)}`}
            </List.Item>
          ))}
          {rows.length > shown && <List.Item>{said.andMore(rows.length - shown)}</List.Item>}
        </List>
        <Text size="sm">{said.acceptManyAbout}</Text>
        <Failure error={error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {texts.common.cancel}
          </Button>
          <Button onClick={onAccept} loading={busy} data-autofocus>
            {said.acceptMany(rows.length)}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
