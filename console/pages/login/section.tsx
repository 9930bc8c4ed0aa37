// A part of the page of one's own login: its heading, what it is about, and what can be done.

import { Paper, Stack, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';

export function Section({ title, about, children }: { title: string; about?: string; children: ReactNode }) {
  return (
    <Paper component="section" withBorder p={{ base: 'md', sm: 'lg' }}>
      <Stack gap="sm">
        <Title order={2}>{title}</Title>
        {about !== undefined && (
          <Text c="dimmed" maw={720}>
            {about}
          </Text>
        )}
        {children}
      </Stack>
    </Paper>
  );
}
