// What is done to all devices of a filter at once, after the API has said what that would change.

import { Button, Menu } from '@mantine/core';
import { IconChevronDown } from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, type Impact } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { Destructive } from '../../parts/destructive.tsx';
import { texts } from '../../texts.ts';
import type { DeviceFilter } from './filter.ts';

type Action = 'suspend' | 'resume' | 'revoke';

/** Calls a bulk change: its dry run, or with the number that it may change. */
function change(account: string, action: Action, filter: DeviceFilter, query: { dry_run: true } | { confirm: number }) {
  const body = Object.keys(filter).length === 0 ? { all: true as const } : { filter };
  const how = { params: { path: { account }, query }, body };
  if (action === 'suspend') return answerOf(api.POST('/api/v1/accounts/{account}/devices/suspend', how));
  if (action === 'resume') return answerOf(api.POST('/api/v1/accounts/{account}/devices/resume', how));
  return answerOf(api.POST('/api/v1/accounts/{account}/devices/revoke', how));
}

/** Shown to who may. `filtered` is whether the filter says anything; else it is the whole account. */
export function BulkActions({
  account,
  filter,
  filtered,
  devices,
}: {
  account: string;
  filter: DeviceFilter;
  filtered: boolean;
  devices: number;
}) {
  const may = useMay();
  const client = useQueryClient();
  const [action, setAction] = useState<Action | null>(null);
  const said = texts.devices;
  const allowed = (
    [
      ['suspend', 'suspendDevices'],
      ['resume', 'resumeDevices'],
      ['revoke', 'revokeDevices'],
    ] as const
  ).filter(([, operation]) => may(operation, account));
  if (allowed.length === 0 || devices === 0) return null;
  const close = () => setAction(null);
  const preview = (of: Action) => () => change(account, of, filter, { dry_run: true }) as Promise<Impact>;
  const act = (of: Action) => async (confirm: number) => {
    await change(account, of, filter, { confirm });
    await Promise.all(
      ['devices', 'device', 'counts', 'audit'].map((part) => client.invalidateQueries({ queryKey: [account, part] })),
    );
  };
  const whom = filtered ? said.ofFilter : said.ofAccount(account);
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <Button variant="default" rightSection={<IconChevronDown size={16} aria-hidden />}>
            {filtered ? said.bulkFiltered : said.bulkAll}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {allowed.map(([name]) => (
            <Menu.Item key={name} onClick={() => setAction(name)}>
              {said.bulk[name](whom)}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      {action !== null && (
        <Destructive
          title={said.bulk[action](whom)}
          about={said.bulkAbout[action]}
          typed={action === 'resume' ? null : (impact) => String(impact.devices)}
          preview={preview(action)}
          act={act(action)}
          onClose={close}
        />
      )}
    </>
  );
}
