// The rows of the lists of a reconciliation: certificates that lines have made, and certificates that they have not.

import { Badge, Group, Table, Text } from '@mantine/core';
import type { Answer } from '../../api/client.ts';
import { Copy } from '../../parts/copy.tsx';
import { Ago } from '../../parts/instant.tsx';
import { Rows } from '../../parts/rows.tsx';
import { texts } from '../../texts.ts';
import type { Reconciliation } from './factory.tsx';

export type ManifestCertificate = Answer<'listManifestCertificates'>[number];
export type Stranger = Reconciliation['strangers']['first'][number];

interface Listed<Row> {
  readonly label: string;
  readonly rows: readonly Row[];
  /** Names of lines, by their IDs. */
  readonly lines: ReadonlyMap<string, string>;
}

const said = texts.factory;

export function ManifestCertificates({ label, rows, lines }: Listed<ManifestCertificate>) {
  return (
    <Rows label={label} heads={[said.deviceId, said.line, said.order, said.madeAt, said.standing, said.certificate]}>
      {rows.map((row) => (
        <Table.Tr key={`${row.line} ${row.number}`}>
          <Table.Td>
            <Copy value={row.device_id} what={said.deviceIdWhat} />
          </Table.Td>
          <Table.Td>
            {lines.get(row.line) ?? row.line.slice(0, 8)}
            <Text size="xs" c="dimmed">
              {said.entry(row.number, row.station)}
            </Text>
          </Table.Td>
          <Table.Td>
            {row.order}
            {row.batch !== null && (
              <Text size="xs" c="dimmed">
                {row.batch}
              </Text>
            )}
          </Table.Td>
          <Table.Td>
            <Ago at={row.made_at} />
          </Table.Td>
          <Table.Td>
            <Standing of={row} />
          </Table.Td>
          <Table.Td>
            <Copy value={row.tbs_sha256} shown={`${row.tbs_sha256.slice(0, 12)}…`} what={said.certificateWhat} />
          </Table.Td>
        </Table.Tr>
      ))}
    </Rows>
  );
}

function Standing({ of }: { of: ManifestCertificate }) {
  return (
    <Group gap={4}>
      {of.seen_at === null ? (
        <Badge color="gray" variant="outline">
          {said.notSeen}
        </Badge>
      ) : (
        <Text size="sm" component="div">
          {said.seenAt} <Ago at={of.seen_at} />
        </Text>
      )}
      {of.withdrawn_at !== null && (
        <Badge color="gray" variant="outline">
          {said.withdrawnOne}
        </Badge>
      )}
      {of.came_at !== null && (
        <Text size="sm" component="div">
          {said.cameAt} <Ago at={of.came_at} />
        </Text>
      )}
      {of.shares !== null && (
        <Badge color="red" variant="outline">
          {said.shares[of.shares]}
        </Badge>
      )}
      {of.beyond !== null && (
        <Badge color="red" variant="outline">
          {said.beyondWhy[of.beyond]}
        </Badge>
      )}
    </Group>
  );
}

export function Strangers({ label, rows, lines }: Listed<Stranger>) {
  return (
    <Rows
      label={label}
      heads={[said.deviceId, said.line, said.firstSeen, said.lastSeen, said.admitted, said.certificate]}
    >
      {rows.map((row) => (
        <Table.Tr key={row.tbs_sha256}>
          <Table.Td>
            <Copy value={row.device_id} what={said.deviceIdWhat} />
          </Table.Td>
          <Table.Td>{lines.get(row.line) ?? row.line.slice(0, 8)}</Table.Td>
          <Table.Td>
            <Ago at={row.first_seen} />
          </Table.Td>
          <Table.Td>
            <Ago at={row.last_seen} />
          </Table.Td>
          <Table.Td>
            <Badge color={row.admitted ? 'red' : 'gray'} variant="outline">
              {row.admitted ? said.gotIn : said.turnedAway}
            </Badge>
          </Table.Td>
          <Table.Td>
            <Copy value={row.tbs_sha256} shown={`${row.tbs_sha256.slice(0, 12)}…`} what={said.certificateWhat} />
          </Table.Td>
        </Table.Tr>
      ))}
    </Rows>
  );
}
