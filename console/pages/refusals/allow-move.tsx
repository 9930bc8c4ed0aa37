// A device ID is that of a device under another Fleet Root CA: it may move, if it is the same device.

import { Modal, Select, Stack, Text } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, deviceName, type Impact } from '../../api/client.ts';
import { useFleetRootCas } from '../../api/queries.ts';
import type { OfAccount } from '../../app.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Destructive } from '../../parts/destructive.tsx';
import { texts } from '../../texts.ts';
import { deviceByItsId } from './device-by-id.ts';

/** `rule` is the sentence of the refusal: it names the Fleet Root CAs that the certificate leads to. */
export function AllowMove({
  account,
  deviceId,
  rule,
  onDone,
  onClose,
}: OfAccount & { deviceId: string; rule: string; onDone: () => void; onClose: () => void }) {
  const said = texts.refusals.mend;
  const client = useQueryClient();
  const [picked, setPicked] = useState<string | null>(null);
  const roots = useFleetRootCas(account);
  const device = useQuery({
    queryKey: [account, 'devices', 'by-id', deviceId],
    queryFn: () => deviceByItsId(account, deviceId),
  });
  const data = roots.data && device.data && { roots: roots.data, device: device.data };
  const asked = { data, error: roots.error ?? device.error };

  const others = data?.roots.filter(({ id, state }) => state === 'active' && id !== data.device.fleet_root_ca) ?? [];
  const shown = others.find(({ name }) => rule.slice(rule.lastIndexOf('leads to')).includes(JSON.stringify(name)));
  const to = picked ?? shown?.id ?? others[0]?.id;
  if (data === undefined || to === undefined) {
    return (
      <Modal opened onClose={onClose} title={said.moveTitle(deviceId)} size="lg">
        <Asked query={asked}>{() => <Text>{said.moveNone}</Text>}</Asked>
      </Modal>
    );
  }
  const move = (query: { dry_run?: boolean; confirm?: number }) =>
    answerOf(
      api.POST('/api/v1/accounts/{account}/devices/{device}/move-root', {
        params: { path: { account, device: deviceName(data.device.uuid) }, query },
        body: { fleet_root_ca: to },
      }),
    );
  return (
    <Destructive
      // What another choice would break is asked anew.
      key={to}
      title={said.moveTitle(deviceId)}
      about={
        <Stack gap="sm">
          <span>{said.moveAbout}</span>
          <Select
            label={said.moveTo}
            data={others.map(({ id, name }) => ({ value: id, label: name }))}
            value={to}
            onChange={setPicked}
            allowDeselect={false}
          />
        </Stack>
      }
      typed={deviceId}
      preview={() => move({ dry_run: true }) as Promise<Impact>}
      act={(confirm) => move({ confirm })}
      onDone={() => {
        onDone();
        void client.invalidateQueries({ queryKey: [account, 'devices'] });
      }}
      onClose={onClose}
    />
  );
}
