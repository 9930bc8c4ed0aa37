// Who it is that waits: what tells one newcomer from another, and the certificates that it came with.

import { Alert, Anchor, Badge, Button, Group, Paper, Stack, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { answerOf, api, deviceName } from '../../api/client.ts';
import { useAccount } from '../../api/queries.ts';
import type { OfAccount } from '../../app.tsx';
import { Asked } from '../../parts/asked.tsx';
import { CertificateCard, useCertificates } from '../../parts/certificate-card.tsx';
import { Copy } from '../../parts/copy.tsx';
import { ForeignLetters } from '../../parts/device-id.tsx';
import { drawn } from '../../parts/drawn.ts';
import { Ago } from '../../parts/instant.tsx';
import { texts } from '../../texts.ts';
import { Facts } from '../refusals/facts.tsx';
import { shapeOf } from './shape.ts';
import type { Waiting } from './waiting.ts';

export function Newcomer({
  account,
  row,
  roots,
  alike,
  shown,
  onChooseAlike,
  onAccept,
  onReject,
  busy,
}: OfAccount & {
  row: Waiting;
  roots: ReadonlyMap<string, string>;
  /** How many wait with an ID of this shape, this one among them. */
  alike: number;
  /** Among how many; null where that is all that wait. */
  shown: number | null;
  onChooseAlike: () => void;
  onAccept: (() => void) | undefined;
  onReject: (() => void) | undefined;
  busy: boolean;
}) {
  const said = texts.pending;
  const { data: policy } = useAccount(account);
  const facts: [string, ReactNode][] = [
    [said.facts.waitsSince, <Ago key="since" at={row.since} absent={said.sinceUnknown} />],
    [said.facts.address, row.address ?? said.sinceUnknown],
    [said.facts.attempts, said.times(row.attempts)],
    [said.facts.root, (row.root !== null && roots.get(row.root)) || said.sinceUnknown],
  ];
  if (row.provisioningKey !== null)
    facts.push([
      said.facts.provisioningKey,
      <span key="key" className="mono">
        {row.provisioningKey}
      </span>,
    ]);
  facts.push([said.facts.shape, said.shape(shapeOf(row.deviceId), alike, shown)]);
  if (policy) facts.push([said.facts.pattern, policy.device_id_pattern ?? said.noPattern]);
  return (
    <Paper component="section" withBorder p="md" aria-label={drawn(row.deviceId)}>
      <Stack>
        <Group gap="xs">
          <Title order={2} className="mono">
            <Copy value={row.deviceId} what={said.deviceId} />
          </Title>
          <Badge color={row.what === 'key' ? 'grape' : 'gray'} variant="outline">
            {said.what[row.what]}
          </Badge>
          <ForeignLetters id={row.deviceId} />
        </Group>
        <Facts facts={facts} />
        <Group gap="sm">
          {onAccept && (
            <Button onClick={onAccept} loading={busy}>
              {said.acceptThis}
              <span className="visually-hidden">&nbsp;{drawn(row.deviceId)}</span>
            </Button>
          )}
          {onReject && (
            <Button variant="outline" color="red" onClick={onReject}>
              {said.rejectThis}
              <span className="visually-hidden">&nbsp;{drawn(row.deviceId)}</span>
            </Button>
          )}
          {alike > 1 && (
            <Button variant="default" onClick={onChooseAlike}>
              {said.chooseShape(alike)}
            </Button>
          )}
          <Anchor component={Link} href={`/accounts/${account}/devices/${row.uuid}`}>
            {said.toDevice}
          </Anchor>
        </Group>
        <Certificates account={account} row={row} />
      </Stack>
    </Paper>
  );
}

/** Those that wait first; of a known device also the one that it has. */
function Certificates({ account, row }: OfAccount & { row: Waiting }) {
  const said = texts.pending;
  const device = useQuery({
    queryKey: [account, 'device', row.uuid],
    queryFn: () =>
      answerOf(
        api.GET('/api/v1/accounts/{account}/devices/{device}', {
          params: { path: { account, device: deviceName(row.uuid) } },
        }),
      ),
  });
  return (
    <Asked query={device} lines={8}>
      {({ certificates, state }) => {
        const waiting = certificates.filter((each) => each.state === 'pending');
        const present = certificates.find((each) => each.state === 'current');
        const newKeys = new Set(waiting.map(({ public_key_sha256 }) => public_key_sha256)).size;
        return (
          <Stack>
            {state !== 'pending' && newKeys > 1 && (
              <Alert color="red" variant="outline" role="status">
                {said.severalKeys(newKeys)}
              </Alert>
            )}
            {state !== 'pending' &&
              waiting.map(({ sha256, certificate }) => (
                <ReadCertificate key={sha256} pem={certificate} title={said.newKey} />
              ))}
            {present && (
              <ReadCertificate pem={present.certificate} title={state === 'pending' ? said.subject : said.oldKey} />
            )}
          </Stack>
        );
      }}
    </Asked>
  );
}

function ReadCertificate({ pem, title }: { pem: string; title: string }) {
  return (
    <Asked query={useCertificates(pem)}>
      {([certificate]) => certificate && <CertificateCard certificate={certificate} title={title} />}
    </Asked>
  );
}
