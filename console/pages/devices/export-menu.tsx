// The devices of a filter as a file: what the API streams, by a link of its own.

import { Button, Menu } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useMay } from '../../api/session.tsx';
import { texts } from '../../texts.ts';
import { type DeviceFilter, searchOf } from './filter.ts';

export function ExportMenu({ account, filter }: { account: string; filter: DeviceFilter }) {
  if (!useMay()('exportDevices', account)) return null;
  const said = texts.devices;
  const search = searchOf(filter);
  const link = (format: string) =>
    `/api/v1/accounts/${encodeURIComponent(account)}/device-export?${search}${search === '' ? '' : '&'}format=${format}`;
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button variant="default" leftSection={<IconDownload size={16} aria-hidden />}>
          {said.export}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item component="a" href={link('csv')} download={`${account}-devices.csv`}>
          {said.exportCsv}
        </Menu.Item>
        <Menu.Item component="a" href={link('jsonl')} download={`${account}-devices.jsonl`}>
          {said.exportJsonl}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
