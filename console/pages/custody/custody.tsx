// Keys and nodes, for administrators: where every key lies, who serves, and what is amiss.

import { Stack, Title } from '@mantine/core';
import { Page } from '../../parts/page.tsx';
import { texts } from '../../texts.ts';
import { Keys } from './keys.tsx';
import { Nodes } from './nodes.tsx';
import { Readiness, Restoration } from './readiness.tsx';

export function Custody() {
  const said = texts.custody;
  return (
    <Page title={said.title} about={said.about}>
      <Restoration />
      <Stack gap="md">
        <Title order={2}>{said.readiness}</Title>
        <Readiness />
      </Stack>
      <Keys />
      <Nodes />
    </Page>
  );
}
