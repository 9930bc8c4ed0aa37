// A step of bringing the first device: its number, what is done, and what with.

import { Paper, Stack, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';

export function Part({
  number,
  title,
  about,
  children,
}: {
  number: number;
  title: string;
  about?: string;
  children: ReactNode;
}) {
  return (
    <Paper component="section" withBorder p={{ base: 'md', sm: 'lg' }}>
      <Stack gap="sm">
        <Title order={2}>
          {number}. {title}
        </Title>
        {about !== undefined && <Text maw={760}>{about}</Text>}
        {children}
      </Stack>
    </Paper>
  );
}
