// What stands around the pages that are shown before anybody has signed in.

import { Box, Container, Paper, Text } from '@mantine/core';
import type { ReactNode } from 'react';

/** `wide` is for what is more than a form. */
export function Outside({ children, wide = false }: { children: ReactNode; wide?: boolean }) {
  return (
    <Container size={wide ? 'sm' : 'xs'} py="xl" px="md">
      <Box component="header" pb="md">
        <Text fw={700} size="lg">
          Fleetroot
        </Text>
      </Box>
      <main>
        <Paper withBorder p={{ base: 'md', xs: 'xl' }}>
          {children}
        </Paper>
      </main>
    </Container>
  );
}
