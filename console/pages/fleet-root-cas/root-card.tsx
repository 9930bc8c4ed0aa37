// One Fleet Root CA: its state and end, who hangs on it, where its key lies, and its certificates.

import { Anchor, Badge, Group, Paper, SimpleGrid, Stack, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Schema } from '../../api/client.ts';
import { daysUntil, Instant } from '../../parts/instant.tsx';
import { StateBadge } from '../../parts/state-badge.tsx';
import { texts } from '../../texts.ts';
import type { FleetRootCa } from './changes.ts';
import { RootActions } from './root-actions.tsx';
import { RootCertificates } from './root-certificates.tsx';

type Account = Schema<'Account'>;

const said = texts.fleetRootCas;

/** `onDone` is told what was done, in a sentence. */
export function RootCard({
  account,
  ca,
  all,
  onDone,
}: {
  account: Account;
  ca: FleetRootCa;
  all: readonly FleetRootCa[];
  onDone: (what: string) => void;
}) {
  const key = account.device_issuing_keys.find(({ fleet_root_ca }) => fleet_root_ca === ca.id) ?? null;
  const successor = all.find(({ id }) => id === ca.successor);
  const daysLeft = daysUntil(ca.not_after);
  return (
    <Paper withBorder p="md" component="section" aria-label={ca.name}>
      <Stack>
        <Group justify="space-between" align="flex-start">
          <Group gap="xs" className="root-head">
            <Title order={2} className="root-subject">
              {ca.name}
            </Title>
            <StateBadge state={ca.state} />
            <Badge color="gray" variant="outline">
              {said.kinds[ca.kind]}
            </Badge>
            {ca.waiting && (
              <Badge color="yellow" variant="outline">
                {said.waits}
              </Badge>
            )}
          </Group>
          <RootActions
            account={account.name}
            ca={ca}
            all={all}
            exportable={key?.exportable === true && key.key_state === 'held'}
            onDone={onDone}
          />
        </Group>
        <Text size="sm">{said.states[(ca.counts ?? ca.state) as keyof typeof said.states]}</Text>
        <SimpleGrid component="dl" cols={{ base: 1, sm: 2, xl: 4 }} m={0}>
          <Fact name={said.devices}>
            {ca.devices === 0 ? (
              said.noDevices
            ) : (
              <Anchor component={Link} inherit href={`/accounts/${account.name}/devices?fleet_root_ca=${ca.id}`}>
                {texts.counted(ca.devices, 'device', 'devices')}
              </Anchor>
            )}
          </Fact>
          <Fact name={said.ends}>
            <Instant at={ca.not_after} />
            <Text size="xs" c="dimmed">
              {said.daysLeft(daysLeft)}
            </Text>
          </Fact>
          <Fact name={said.letsIn}>{said.admits[ca.admit]}</Fact>
          <Fact name={said.key}>
            <KeyPlace ca={ca} issuing={key} />
          </Fact>
          {ca.successor !== null && (
            <Fact name={said.successor}>{said.successorIs(successor?.name ?? ca.successor)}</Fact>
          )}
          {ca.signed !== null && <Fact name={said.signed}>{said.signedAs(ca.signed, ca.counts ?? 'none')}</Fact>}
        </SimpleGrid>
        <RootCertificates account={account.name} ca={ca} onDone={onDone} />
      </Stack>
    </Paper>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <Text component="dt" size="xs" c="dimmed">
        {name}
      </Text>
      <Text component="dd" size="sm" m={0}>
        {children}
      </Text>
    </div>
  );
}

/** Where the private key of a Fleet Root CA lies. */
function KeyPlace({ ca, issuing }: { ca: FleetRootCa; issuing: Account['device_issuing_keys'][number] | null }) {
  if (ca.kind === 'registered') return said.keyYours;
  if (issuing === null) return said.keyGone;
  if (issuing.key_state === 'erased') return said.keyErased(issuing.custodian);
  return (
    <>
      {said.keyHeld(issuing.custodian)}
      <Text size="xs" c="dimmed" component="span" display="block">
        {issuing.exportable ? said.keyExportable : said.keyStays}
      </Text>
    </>
  );
}
