// The sums of a reconciliation: what was made, has come, has not, was withdrawn, and came though nobody made it.

import { Paper, SimpleGrid, Stack, Text, UnstyledButton } from '@mantine/core';
import { useAddress } from '../../parts/address.ts';
import { texts } from '../../texts.ts';
import type { Reconciliation } from './factory.tsx';
import { isAmiss, type Kind } from './findings.tsx';
import './factory.css';

const said = texts.factory;

export function Figures({ found }: { found: Reconciliation }) {
  const figures: readonly (readonly [string, number, Kind | null])[] = [
    [said.made, found.made, null],
    [said.seen, found.seen, null],
    [said.kinds.never_seen, found.missing, 'never_seen'],
    [said.withdrawn, found.withdrawn, null],
    [said.kinds.strangers, found.strangers.count, 'strangers'],
  ];
  return (
    <SimpleGrid cols={{ base: 2, sm: 3, lg: 5 }} spacing="md">
      {figures.map(([name, count, kind]) => (
        <Figure key={name} name={name} count={count} kind={kind} />
      ))}
    </SimpleGrid>
  );
}

/** `kind` is the list of what it counts, where there is one. */
function Figure({ name, count, kind }: { name: string; count: number; kind: Kind | null }) {
  const [, setKind] = useAddress('list');
  const amiss = kind !== null && count > 0 && isAmiss(kind);
  const figure = (
    <Stack gap={0}>
      <Text fz="1.75rem" fw={600} lh={1.2} {...(amiss && { c: 'var(--mantine-color-error)' })}>
        {texts.number(count)}
      </Text>
      <Text size="sm" td={kind === null ? 'none' : 'underline'}>
        {name}
      </Text>
      {amiss && (
        <Text size="xs" c="var(--mantine-color-error)">
          {said.amiss}
        </Text>
      )}
    </Stack>
  );
  if (kind === null) {
    return (
      <Paper withBorder p="md">
        {figure}
      </Paper>
    );
  }
  const show = () => {
    setKind(kind);
    document.getElementById('findings')?.scrollIntoView({ block: 'start' });
  };
  return (
    <UnstyledButton className="factory-figure" onClick={show}>
      {figure}
    </UnstyledButton>
  );
}
