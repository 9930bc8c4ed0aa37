// A device ID is that of a device under another Fleet Root CA: it may move, if it is the same device.

import { Modal } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import type { OfAccount } from '../../app.tsx';
import { Asked } from '../../parts/asked.tsx';
import { texts } from '../../texts.ts';
import { MoveRoot } from '../devices/move-root.tsx';
import { deviceByItsId } from './device-by-id.ts';

/** `rule` is the sentence of the refusal: it names the Fleet Root CAs that the certificate leads to. */
export function AllowMove({
  account,
  deviceId,
  rule,
  onDone,
  onClose,
}: OfAccount & { deviceId: string; rule: string; onDone: () => void; onClose: () => void }) {
  const client = useQueryClient();
  const device = useQuery({
    queryKey: [account, 'devices', 'by-id', deviceId],
    queryFn: () => deviceByItsId(account, deviceId),
  });
  if (device.data === undefined) {
    return (
      <Modal opened onClose={onClose} title={texts.device.actions.move} size="lg">
        <Asked query={device}>{() => null}</Asked>
      </Modal>
    );
  }
  return (
    <MoveRoot
      account={account}
      device={device.data}
      leadsTo={(name) => rule.slice(rule.lastIndexOf('leads to')).includes(JSON.stringify(name))}
      onDone={() => {
        onDone();
        return client.invalidateQueries({ queryKey: [account, 'devices'] });
      }}
      onClose={onClose}
    />
  );
}
