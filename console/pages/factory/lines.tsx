// The lines of a factory: how far each is known, what came of what it made, and what it was let make.

import { Group, Paper, Progress, SimpleGrid, Stack, Text, Title } from '@mantine/core';
import { useFleetRootCas } from '../../api/queries.ts';
import { useMay } from '../../api/session.tsx';
import { Copy } from '../../parts/copy.tsx';
import { Instant } from '../../parts/instant.tsx';
import { Section } from '../../parts/section.tsx';
import { texts } from '../../texts.ts';
import type { Reconciliation } from './factory.tsx';

type Line = Reconciliation['lines'][number];
type Mandate = Line['mandates'][number];

const said = texts.factory;

export function Lines({ account, found }: { account: string; found: Reconciliation }) {
  const may = useMay();
  return (
    <Section title={said.lines} about={said.linesAbout}>
      <SimpleGrid cols={{ base: 1, lg: 2 }}>
        {found.lines.map((line) => (
          <Paper key={line.id} withBorder p="md">
            <Stack gap="sm">
              <div>
                <Title order={3}>{line.name}</Title>
                {line.site !== null && <Text size="sm">{said.at(line.site)}</Text>}
              </div>
              <Text size="sm">{said.counts(line)}</Text>
              <Text size="sm" component="div">
                {said.knownTo(line.last)} <Instant at={line.complete_to} />. {said.importedAt}{' '}
                <Instant at={line.imported_at} />.
              </Text>
              {may('listFleetRootCas', account) && <UnderRoot account={account} id={line.fleet_root_ca} />}
              <Text size="sm" component="div">
                {said.lineKey}{' '}
                <Copy
                  value={line.public_key_sha256}
                  shown={`${line.public_key_sha256.slice(0, 16)}…`}
                  what={said.lineKeyOf(line.name)}
                />
              </Text>
              <Title order={4} fz="sm">
                {said.mandates}
              </Title>
              {line.mandates.length === 0 ? (
                <Text size="sm">{said.noMandates}</Text>
              ) : (
                line.mandates.map((mandate) => <MandateShown key={mandate.id} of={mandate} line={line.name} />)
              )}
            </Stack>
          </Paper>
        ))}
      </SimpleGrid>
    </Section>
  );
}

function UnderRoot({ account, id }: { account: string; id: string }) {
  const name = useFleetRootCas(account).data?.find((ca) => ca.id === id)?.name;
  return name === undefined ? null : <Text size="sm">{said.under(name)}</Text>;
}

/** How much of a mandate is used, as a bar and in words. */
function MandateShown({ of, line }: { of: Mandate; line: string }) {
  const part = of.quota === 0 ? 100 : Math.min(100, (of.used / of.quota) * 100);
  return (
    <Stack gap={4}>
      <Group justify="space-between" gap="xs">
        <Text size="sm">{said.used(of.used, of.quota)}</Text>
        <Text size="sm" component="div">
          {said.until} <Instant at={of.not_after} />
        </Text>
      </Group>
      <Progress
        value={part}
        color={part >= 90 ? 'red' : 'cyan'}
        aria-label={said.mandateBar(line, of.id.slice(0, 8))}
      />
      <Text size="sm">
        {of.order === null ? said.anyOrder : said.forOrder(of.order)}; {said.idsLike}{' '}
        <span className="mono">{of.device_id_pattern}</span>
      </Text>
    </Stack>
  );
}
