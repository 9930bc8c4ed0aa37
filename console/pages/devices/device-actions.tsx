// What can be done to a device: what it would break is shown first, and what shuts it out is typed.

import { Button, Menu } from '@mantine/core';
import { IconChevronDown } from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useLocation } from 'wouter';
import { answerOf, api, deviceName, type Impact } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { Confirm } from '../../parts/confirm.tsx';
import { Destructive } from '../../parts/destructive.tsx';
import { drawn } from '../../parts/drawn.ts';
import { texts } from '../../texts.ts';
import type { OfDevice } from './device.tsx';
import { MoveRoot } from './move-root.tsx';

type Shutting = 'suspend' | 'revoke' | 'reject' | 'delete';
const said = texts.device;
const base = '/api/v1/accounts/{account}/devices/{device}';

export function DeviceActions({ account, device }: OfDevice) {
  const { uuid, device_id, state, method, certificates } = device;
  const may = useMay();
  const client = useQueryClient();
  const [, go] = useLocation();
  const [doing, setDoing] = useState<Shutting | 'approve' | 'resume' | 'reprovision' | 'move' | null>(null);
  const path = { account, device: deviceName(uuid) };
  const touches = ['device', 'devices', 'counts', 'audit', 'allow-list'].map((part) => [account, part]);
  const changed = async (): Promise<void> => {
    await Promise.all(touches.map((queryKey) => client.invalidateQueries({ queryKey })));
  };
  const shut = (how: Shutting, query: { dry_run: true } | { confirm: number }) =>
    how === 'delete'
      ? answerOf(api.DELETE(base, { params: { path, query } }))
      : answerOf(api.POST(`${base}/${how}`, { params: { path, query } }));

  const waits = state === 'pending' || certificates.some((each) => each.state === 'pending');
  const all = [
    ['approve', 'approveDevice', waits],
    ['reject', 'rejectDevice', waits],
    ['resume', 'resumeDevice', state === 'suspended'],
    ['suspend', 'suspendDevice', state === 'active'],
    ['reprovision', 'reprovisionDevice', method === 'shared' && state !== 'revoked'],
    ['move', 'moveDeviceRoot', state !== 'revoked'],
    ['revoke', 'revokeDevice', state !== 'revoked'],
    ['delete', 'deleteDevice', true],
  ] as const;
  const possible = all.filter(([, operation, fits]) => fits && may(operation, account));
  if (possible.length === 0) return null;
  // What is likely is at hand: the first two of one that waits, else the first.
  const direct = possible.slice(0, waits ? 2 : 1);
  const others = possible.slice(direct.length);
  const close = () => setDoing(null);
  return (
    <>
      {direct.map(([name]) => (
        <Button
          key={name}
          variant={name === 'approve' || name === 'resume' ? 'filled' : 'default'}
          onClick={() => setDoing(name)}
        >
          {said.actions[name]}
        </Button>
      ))}
      {others.length > 0 && (
        <Menu position="bottom-end">
          <Menu.Target>
            <Button variant="default" rightSection={<IconChevronDown size={16} aria-hidden />}>
              {said.more}
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {others.map(([name]) => (
              <Menu.Item key={name} onClick={() => setDoing(name)}>
                {said.actions[name]}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      )}
      {(doing === 'suspend' || doing === 'revoke' || doing === 'reject' || doing === 'delete') && (
        <Destructive
          title={said.doIt[doing](drawn(device_id))}
          about={said.about[doing]}
          typed={device_id}
          preview={() => shut(doing, { dry_run: true }) as Promise<Impact>}
          act={async (confirm) => {
            await shut(doing, { confirm });
            if (doing !== 'delete') return changed();
            // Nobody asks for it again: it is not there.
            go(`/accounts/${account}/devices`, { replace: true });
            client.removeQueries({ queryKey: [account, 'device', uuid] });
            return changed();
          }}
          onClose={close}
        />
      )}
      {(doing === 'approve' || doing === 'resume' || doing === 'reprovision') && (
        <Confirm
          title={said.doIt[doing](drawn(device_id))}
          button={said.doIt[doing](drawn(device_id))}
          touches={touches}
          act={() => answerOf(api.POST(`${base}/${doing}`, { params: { path } }))}
          onClose={close}
        >
          {said.about[doing]}
        </Confirm>
      )}
      {doing === 'move' && <MoveRoot account={account} device={device} onDone={changed} onClose={close} />}
    </>
  );
}
