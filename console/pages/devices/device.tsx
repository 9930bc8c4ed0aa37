// A device: who it is, how it came in, what happened to it, and what can be done.

import { Alert, Anchor, Group, SimpleGrid, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { Link, useParams } from 'wouter';
import { type Answer, answerOf, api, deviceName } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import type { OfAccount } from '../../app.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Copy } from '../../parts/copy.tsx';
import { ForeignLetters } from '../../parts/device-id.tsx';
import { drawn } from '../../parts/drawn.ts';
import { Ago, Instant } from '../../parts/instant.tsx';
import { Page } from '../../parts/page.tsx';
import { Section } from '../../parts/section.tsx';
import { StateBadge } from '../../parts/state-badge.tsx';
import { texts } from '../../texts.ts';
import { CertificateChain } from './certificate-chain.tsx';
import { DeviceActions } from './device-actions.tsx';
import { DeviceCertificates } from './device-certificates.tsx';
import { DeviceLabels } from './device-labels.tsx';
import { DeviceReports } from './device-reports.tsx';
import { DeviceTimeline } from './device-timeline.tsx';
import '../../parts/certificate-card.css';
import './device.css';

export type Device = Answer<'getDevice'>;
/** What a section of the page is given. */
export interface OfDevice extends OfAccount {
  readonly device: Device;
}

export function DevicePage({ account }: OfAccount) {
  const { device: uuid } = useParams<{ device: string }>();
  const said = texts.device;
  const query = useQuery({
    queryKey: [account, 'device', uuid],
    queryFn: () =>
      answerOf(
        api.GET('/api/v1/accounts/{account}/devices/{device}', {
          params: { path: { account, device: deviceName(uuid) } },
        }),
      ),
  });
  const device = query.data;
  return (
    <Stack gap="sm">
      <Anchor component={Link} href={`/accounts/${account}/devices`} size="sm" w="fit-content">
        {said.back}
      </Anchor>
      <Page
        key={uuid}
        title={device ? drawn(device.device_id) : said.title}
        actions={device && <DeviceActions account={account} device={device} />}
      >
        <Asked query={query} lines={8}>
          {(found) => <Sections account={account} device={found} />}
        </Asked>
      </Page>
    </Stack>
  );
}

function Sections({ account, device }: OfDevice) {
  const said = texts.device;
  const may = useMay();
  return (
    <>
      <ForeignLetters id={device.device_id} />
      <Waiting device={device} />
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg">
        <Section title={said.who}>
          <Identity account={account} device={device} />
        </Section>
        <Section
          title={said.timeline}
          about={said.timelineAbout}
          actions={
            may('listRefusals', account) && (
              <Anchor
                component={Link}
                size="sm"
                href={`/accounts/${account}/refusals?device=${encodeURIComponent(device.device_id)}`}
              >
                {said.itsRefusals}
              </Anchor>
            )
          }
        >
          <DeviceTimeline account={account} device={device} />
        </Section>
      </SimpleGrid>
      <Section title={said.chain} about={said.chainAbout}>
        <CertificateChain account={account} device={device} />
      </Section>
      <Section title={said.certificates} about={said.certificatesAbout}>
        <DeviceCertificates account={account} device={device} />
      </Section>
      <Section title={said.reports} about={said.reportsAbout}>
        <DeviceReports account={account} device={device} />
      </Section>
    </>
  );
}

/** Says what is due: a device, or a new key of one, that waits for somebody to let it in. */
function Waiting({ device: { state, certificates, reprovision_until, allowed_fleet_root_ca } }: { device: Device }) {
  const said = texts.device;
  const [now] = useState(Date.now);
  const newKey = state !== 'pending' && certificates.some((each) => each.state === 'pending');
  return (
    <>
      {(state === 'pending' || newKey) && (
        <Alert color="yellow" variant="outline" title={newKey ? said.keyWaits : said.waits}>
          {newKey ? said.keyWaitsText : said.waitsText}
        </Alert>
      )}
      {reprovision_until !== null && Date.parse(reprovision_until) > now && (
        <Alert color="gray" variant="outline" title={said.reprovisions}>
          {said.until} <Instant at={reprovision_until} />
        </Alert>
      )}
      {allowed_fleet_root_ca !== null && (
        <Alert color="gray" variant="outline" title={said.mayMove}>
          {said.mayMoveText}
        </Alert>
      )}
    </>
  );
}

function Identity({ account, device }: OfDevice) {
  const said = texts.device;
  const { provisioning_key: key, method } = device;
  const here = `/accounts/${account}`;
  const fields: [string, ReactNode][] = [
    [texts.devices.deviceId, <Copy key="id" value={device.device_id} what={said.idWhat} />],
    [said.uuid, <Copy key="uuid" value={device.uuid} what={said.uuidWhat} />],
    [texts.devices.state, <StateBadge key="state" state={device.state} />],
    [
      said.cameIn,
      <span key="how">
        {said.methods[method]}
        {key !== null && (
          <>
            {' '}
            <Anchor component={Link} inherit underline="always" href={`${here}/devices?provisioning_key=${key}`}>
              {said.sameKey}
            </Anchor>
          </>
        )}
      </span>,
    ],
    ...(key === null
      ? []
      : [[texts.devices.provisioningKey, <Copy key="key" value={key} what={said.keyWhat} />] as [string, ReactNode]]),
    [
      texts.devices.fleetRootCa,
      <Anchor key="root" component={Link} inherit href={`${here}/devices?fleet_root_ca=${device.fleet_root_ca}`}>
        {device.fleet_root_ca_name}
      </Anchor>,
    ],
    [
      texts.devices.firstSeen,
      <span key="first">
        <Instant at={device.first_seen} /> (<Ago at={device.first_seen} />)
      </span>,
    ],
    [
      texts.devices.lastSeen,
      device.last_seen === null ? (
        said.neverSeen
      ) : (
        <span key="last">
          <Instant at={device.last_seen} /> (<Ago at={device.last_seen} />)
        </span>
      ),
    ],
    [
      texts.devices.certificateEnds,
      <Instant key="ends" at={device.certificate_not_after} absent={texts.common.none} />,
    ],
  ];
  return (
    <Stack gap="md">
      <dl className="fields">
        {fields.map(([name, value]) => (
          <div key={name}>
            <Text component="dt" size="xs" c="dimmed">
              {name}
            </Text>
            <Text component="dd" size="sm">
              {value}
            </Text>
          </div>
        ))}
      </dl>
      <Group>
        <DeviceLabels account={account} device={device} />
      </Group>
    </Stack>
  );
}
