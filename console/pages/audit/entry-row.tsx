// An entry of the audit log in a line: when, who, from where, what, to what, and how it ended.

import { ActionIcon, Badge, Table, Text } from '@mantine/core';
import { IconChevronDown, IconChevronRight } from '@tabler/icons-react';
import { useId, useState } from 'react';
import { Instant } from '../../parts/instant.tsx';
import { texts } from '../../texts.ts';
import type { AuditEntry } from './audit-calls.ts';
import { EntryDetails } from './entry-details.tsx';

/** How many columns there are. */
const columns = 6;

export function EntryRow({ entry }: { entry: AuditEntry }) {
  const [opened, setOpened] = useState(false);
  const details = useId();
  const { at, action, by, object, result } = entry;
  const said = texts.audit;
  const done = result === 'done';
  return (
    <>
      <Table.Tr>
        <Table.Td>
          <ActionIcon
            variant="subtle"
            color="gray"
            onClick={() => setOpened(!opened)}
            aria-label={said.detailsOf(action, at)}
            aria-expanded={opened}
            aria-controls={opened ? details : undefined}
          >
            {opened ? <IconChevronDown size={18} aria-hidden /> : <IconChevronRight size={18} aria-hidden />}
          </ActionIcon>
        </Table.Td>
        <Table.Td>
          <Instant at={at} />
        </Table.Td>
        <Table.Td>
          {by.name}
          <Text size="sm" c="dimmed">
            {[said.kinds[by.kind], ...(by.address === null ? [] : [said.from(by.address)])].join(' ')}
          </Text>
        </Table.Td>
        <Table.Td>
          <span className="mono audit-action">{action}</span>
        </Table.Td>
        <Table.Td>
          {object.name ?? <span className="mono">{object.id}</span>}
          <Text size="sm" c="dimmed">
            {objects[object.kind] ?? object.kind}
          </Text>
        </Table.Td>
        <Table.Td>
          <Badge variant="outline" color={done ? 'teal' : 'red'} className="state-badge">
            {done ? said.done : result}
          </Badge>
        </Table.Td>
      </Table.Tr>
      {opened && (
        <Table.Tr id={details}>
          <Table.Td colSpan={columns}>
            <EntryDetails entry={entry} />
          </Table.Td>
        </Table.Tr>
      )}
    </>
  );
}

const objects: Readonly<Record<string, string>> = texts.audit.objects;
