// The choice of a role, each with what it is for.

import { Radio, Stack } from '@mantine/core';
import { texts } from '../../texts.ts';

export const accountRoles = ['owner', 'operator', 'auditor', 'factory'] as const;
export type AccountRole = (typeof accountRoles)[number];
export const serverRoles = ['metrics', 'administrator'] as const;
export type ServerRole = (typeof serverRoles)[number];

export function RoleChoice<Role extends AccountRole | ServerRole>({
  roles,
  value,
  onChange,
}: {
  roles: readonly Role[];
  value: Role;
  onChange: (role: Role) => void;
}) {
  const said = texts.operators;
  return (
    <Radio.Group label={said.role} value={value} onChange={(role) => onChange(role)}>
      <Stack gap="xs" mt={4}>
        {roles.map((role) => (
          <Radio key={role} value={role} label={said.roleNames[role]} description={said.roleAbout[role]} />
        ))}
      </Stack>
    </Radio.Group>
  );
}
