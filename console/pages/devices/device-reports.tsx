// What a device has told of itself: its ECUs, and its system as it described it.

import { Accordion, Stack, Table, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { answerOf, api, deviceName } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { Asked } from '../../parts/asked.tsx';
import { CopyBlock } from '../../parts/copy.tsx';
import { Ago, sayInstant, useZone } from '../../parts/instant.tsx';
import { Rows } from '../../parts/rows.tsx';
import { texts } from '../../texts.ts';
import type { Device, OfDevice } from './device.tsx';

const said = texts.device;

export function DeviceReports({ account, device }: OfDevice) {
  const may = useMay()('getEcus', account);
  const others = device.reports.filter(({ kind }) => kind !== 'ecus');
  const reported = device.reports.some(({ kind }) => kind === 'ecus');
  if (device.reports.length === 0) return <Text size="sm">{said.noReports}</Text>;
  return (
    <Stack gap="lg">
      {reported && may && <Ecus account={account} device={device} />}
      {others.length > 0 && (
        <Accordion variant="contained" order={3}>
          {others.map((report) => (
            <Report key={report.kind} report={report} />
          ))}
        </Accordion>
      )}
    </Stack>
  );
}

function Ecus({ account, device }: OfDevice) {
  const received = device.reports.find(({ kind }) => kind === 'ecus')?.received_at;
  const ecus = useQuery({
    queryKey: [account, 'device', device.uuid, 'ecus', received],
    queryFn: () =>
      answerOf(
        api.GET('/api/v1/accounts/{account}/devices/{device}/ecus', {
          params: { path: { account, device: deviceName(device.uuid) } },
        }),
      ),
  });
  return (
    <div>
      <Title order={3}>{said.ecus}</Title>
      <Text size="sm" c="dimmed">
        {said.received} <Ago at={received} />
      </Text>
      <Asked query={ecus}>
        {({ ecus: rows, raw }) =>
          raw !== null ? (
            <CopyBlock value={raw} what={said.ecus} />
          ) : (
            <Rows label={said.ecus} heads={[...said.ecuHeads]}>
              {rows.map(({ ecu_serial, hardware_identifier, primary, key_type }) => (
                <Table.Tr key={ecu_serial}>
                  <Table.Td className="mono">{ecu_serial}</Table.Td>
                  <Table.Td>{hardware_identifier}</Table.Td>
                  <Table.Td>{primary ? said.primary : said.secondary}</Table.Td>
                  <Table.Td>{key_type ?? texts.common.none}</Table.Td>
                </Table.Tr>
              ))}
            </Rows>
          )
        }
      </Asked>
    </div>
  );
}

function Report({ report: { kind, received_at, content_type, body } }: { report: Device['reports'][number] }) {
  const [zone] = useZone();
  return (
    <Accordion.Item value={kind}>
      <Accordion.Control>
        {said.reportKinds[kind]}{' '}
        <Text span size="sm" c="dimmed">
          {said.received} <time dateTime={received_at}>{sayInstant(received_at, zone)}</time>
        </Text>
      </Accordion.Control>
      <Accordion.Panel>
        <CopyBlock value={legible(content_type, body)} what={said.reportKinds[kind]} />
      </Accordion.Panel>
    </Accordion.Item>
  );
}

function legible(contentType: string, body: string): string {
  if (!contentType.startsWith('application/json')) return body;
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
