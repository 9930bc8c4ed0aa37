// An entry of the audit log, told whole: what differs, the request it came by, its place in the chain.

import { Group, Stack, Table, Text } from '@mantine/core';
import { Copy } from '../../parts/copy.tsx';
import { texts } from '../../texts.ts';
import type { AuditEntry } from './audit-calls.ts';
import { differencesOf } from './differences.ts';

export function EntryDetails({ entry }: { entry: AuditEntry }) {
  const { by, object, number, hash } = entry;
  const said = texts.audit;
  return (
    <Stack gap="sm" p="xs" className="audit-details">
      <Differences entry={entry} />
      <Group gap="lg">
        {by.request !== null && (
          <Text size="sm" component="div">
            {said.request} <Copy value={by.request} what={said.requestWhat} />
          </Text>
        )}
        {object.id !== '' && (
          <Text size="sm" component="div">
            {said.objectId} <Copy value={object.id} what={said.objectWhat} />
          </Text>
        )}
        {hash !== null && (
          <Text size="sm" component="div">
            {said.hash} <Copy value={hash} what={said.hashWhat} />
          </Text>
        )}
        {number !== null && (
          <Text size="sm">
            {said.number} {texts.number(number)}
          </Text>
        )}
      </Group>
    </Stack>
  );
}

function Differences({ entry: { before, after } }: { entry: AuditEntry }) {
  const said = texts.audit;
  const { differences, same } = differencesOf(before, after);
  if (differences.length === 0) return <Text size="sm">{said.noDifference}</Text>;
  const title = before === null ? said.made : after === null ? said.gone : said.difference;
  return (
    <>
      <Table withTableBorder verticalSpacing={4} aria-label={title}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{said.member}</Table.Th>
            {before !== null && <Table.Th>{said.before}</Table.Th>}
            {after !== null && <Table.Th>{said.after}</Table.Th>}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {differences.map(({ member, before: was, after: is }) => (
            <Table.Tr key={member}>
              <Table.Th scope="row" fw={500}>
                {member.replaceAll('_', ' ')}
              </Table.Th>
              {before !== null && <Value text={was} />}
              {after !== null && <Value text={is} />}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {same > 0 && <Text size="sm">{said.unchanged(same)}</Text>}
    </>
  );
}

function Value({ text }: { text: string | null }) {
  return (
    <Table.Td>
      {text === null ? (
        <Text span size="sm" c="dimmed">
          {texts.audit.nothing}
        </Text>
      ) : (
        <span className="mono audit-value">{text}</span>
      )}
    </Table.Td>
  );
}
