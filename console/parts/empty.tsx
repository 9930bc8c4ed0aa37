// A list that is empty teaches: what would stand here, why, and how it comes to.

import { Paper, Stack, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';

/** `children` is what one can do about it. */
export function Empty({ title, text, children }: { title: string; text: string; children?: ReactNode }) {
  return (
    <Paper withBorder p="xl">
      <Stack align="center" gap="sm" ta="center">
        <Title order={2}>{title}</Title>
        <Text c="dimmed" maw={560}>
          {text}
        </Text>
        {children}
      </Stack>
    </Paper>
  );
}
