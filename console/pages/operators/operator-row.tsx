// An operator in the list of the server's: state, roles, factors, last sign-in.

import { Badge, Group, Stack, Table, Text } from '@mantine/core';
import type { Schema } from '../../api/client.ts';
import { Ago, Instant } from '../../parts/instant.tsx';
import { texts } from '../../texts.ts';
import { type RowAction, RowMenu } from './row-menu.tsx';

/** `own`: it is who looks at it. */
export function OperatorRow({
  operator,
  own,
  actions,
}: {
  operator: Schema<'Operator'>;
  own: boolean;
  actions: readonly RowAction[];
}) {
  const { name, administrator, disabled, roles, invited_until, last_sign_in_at } = operator;
  const said = texts.operators;
  return (
    <Table.Tr>
      <Table.Td>
        {name}
        {own && (
          <Text span size="sm" c="dimmed">
            {` (${said.you})`}
          </Text>
        )}
      </Table.Td>
      <Table.Td>
        <Group gap={4}>
          <Badge variant="outline" color={disabled ? 'red' : 'teal'}>
            {disabled ? said.states.disabled : said.states.active}
          </Badge>
          {administrator && (
            <Badge variant="outline" color="gray">
              {said.administrator}
            </Badge>
          )}
        </Group>
        {invited_until !== null && (
          <Text size="sm">
            {said.invitedUntil} <Instant at={invited_until} />
          </Text>
        )}
      </Table.Td>
      <Table.Td>
        {roles.length === 0 ? (
          <Text span inherit c="dimmed">
            {said.rolesNone}
          </Text>
        ) : (
          <Stack gap={2}>
            {roles.map(({ account, account_name, role }) => (
              <Text key={account} size="sm">
                {account_name}: {said.roleNames[role]}
              </Text>
            ))}
          </Stack>
        )}
      </Table.Td>
      <Table.Td>{factorsOf(operator)}</Table.Td>
      <Table.Td>
        <Ago at={last_sign_in_at} />
      </Table.Td>
      <Table.Td>
        <RowMenu label={said.actionsFor(name)} actions={actions} />
      </Table.Td>
    </Table.Tr>
  );
}

function factorsOf({ has_password, totp, passkeys }: Schema<'Operator'>): string {
  const said = texts.operators;
  const factors = [
    ...(has_password ? [said.factor.password] : []),
    ...(totp ? [said.factor.totp] : []),
    ...(passkeys > 0 ? [texts.counted(passkeys, said.passkeys[0], said.passkeys[1])] : []),
  ];
  return factors.length === 0 ? said.factor.none : factors.join(', ');
}
