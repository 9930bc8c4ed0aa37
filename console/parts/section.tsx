// A part of a page: its heading, what it is about, and what can be done there.

import { Group, Paper, Stack, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';

/** `actions` stand beside the heading. */
export function Section({
  title,
  about,
  actions,
  children,
}: {
  title: string;
  about?: string;
  actions?: ReactNode;
  children?: ReactNode;
}) {
  return (
    <Paper component="section" withBorder miw={0} p={{ base: 'md', sm: 'lg' }}>
      <Stack gap="md">
        <Group justify="space-between" align="flex-start">
          <div>
            <Title order={2}>{title}</Title>
            {about !== undefined && (
              <Text c="dimmed" maw={720}>
                {about}
              </Text>
            )}
          </div>
          {actions !== undefined && <Group gap="sm">{actions}</Group>}
        </Group>
        {children}
      </Stack>
    </Paper>
  );
}
