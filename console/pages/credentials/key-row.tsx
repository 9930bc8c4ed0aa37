// A provisioning key in the list: what it is for, what it is held to, and how much of it is left.

import { Anchor, Badge, Group, Progress, Stack, Table, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Schema } from '../../api/client.ts';
import { CopyIcon } from '../../parts/copy.tsx';
import { daysUntil, Instant } from '../../parts/instant.tsx';
import { StateBadge } from '../../parts/state-badge.tsx';
import { texts } from '../../texts.ts';
import './credentials.css';

type ProvisioningKey = Schema<'ProvisioningKey'>;

const said = texts.credentials;
/** From when on a key is said to end soon, in days. */
const soon = 30;

/** What a key is called: its description, else how its ID begins. */
export const keyName = ({ id, description }: Pick<ProvisioningKey, 'id' | 'description'>): string =>
  description === null || description === '' ? id.slice(0, 8) : description;

/** `children` are the cells that follow. */
export function KeyRow({ account, of, children }: { account: string; of: ProvisioningKey; children: ReactNode }) {
  const daysLeft = daysUntil(of.not_after);
  return (
    <Table.Tr>
      <Table.Td>
        <Text size="sm" fw={600} className="credentials-name">
          {of.description || said.unnamed}
        </Text>
        <Group gap={4} wrap="nowrap">
          <Text size="xs" c="dimmed" className="mono" title={of.id}>
            {of.id.slice(0, 8)}…
          </Text>
          <CopyIcon value={of.id} what={said.keyId(keyName(of))} />
        </Group>
      </Table.Td>
      <Table.Td>
        <Stack gap={4} align="flex-start">
          <StateBadge state={of.state} />
          {of.state === 'active' && daysLeft <= soon && (
            <Badge color="yellow" variant="outline" className="state-badge">
              {said.endsSoon}
            </Badge>
          )}
        </Stack>
      </Table.Td>
      <Table.Td>
        <Uses of={of} />
      </Table.Td>
      <Table.Td>
        <Text size="sm" className="credentials-until">
          {said.daysLeft(daysLeft)}
        </Text>
        <Text size="xs" c="dimmed" component="div">
          <Instant at={of.not_after} />
        </Text>
      </Table.Td>
      <Table.Td>
        <Limits of={of} />
      </Table.Td>
      <Table.Td>
        {of.device_count === 0 ? (
          <Text size="sm" c="dimmed">
            {said.noDevice}
          </Text>
        ) : (
          <Anchor component={Link} size="sm" href={`/accounts/${account}/devices?provisioning_key=${of.id}`}>
            {texts.counted(of.device_count, 'device', 'devices')}
          </Anchor>
        )}
      </Table.Td>
      {children}
    </Table.Tr>
  );
}

/** The burn-down: how many uses there were of how many there are. */
function Uses({ of: { max_uses, uses, ...of } }: { of: ProvisioningKey }) {
  if (max_uses === null) return <Text size="sm">{said.usesUnlimited(uses)}</Text>;
  const part = Math.min(100, (uses / max_uses) * 100);
  return (
    <Stack gap={4} className="credentials-uses">
      <Text size="sm">{said.usesOf(uses, max_uses)}</Text>
      <Progress value={part} color={part >= 90 ? 'red' : 'cyan'} aria-label={said.usesBar(keyName(of))} />
    </Stack>
  );
}

function Limits({ of: { device_id_pattern, networks } }: { of: ProvisioningKey }) {
  if (device_id_pattern === null && networks.length === 0) {
    return (
      <Text size="sm" c="dimmed" className="credentials-limits">
        {said.noLimits}
      </Text>
    );
  }
  return (
    <Stack gap={2} className="credentials-limits">
      {device_id_pattern !== null && (
        <Text size="sm">
          {said.patternIs} <span className="mono">{device_id_pattern}</span>
        </Text>
      )}
      {networks.length > 0 && (
        <Text size="sm">
          {said.networksAre} <span className="mono">{networks.join(', ')}</span>
        </Text>
      )}
    </Stack>
  );
}
