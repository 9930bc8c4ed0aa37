// A table of some tens or hundreds of rows. Lists that may be long are parts/long-list.tsx.

import { Table } from '@mantine/core';
import type { ReactNode } from 'react';

/**
 * `label` names the table to a screen reader; on a narrow screen it scrolls sideways by itself, and is no narrower than
 * `minWidth`.
 */
export function Rows({
  label,
  heads,
  minWidth,
  children,
}: {
  label: string;
  heads: readonly ReactNode[];
  minWidth?: string;
  children: ReactNode;
}) {
  return (
    <div className="table-scroll" role="region" aria-label={label} tabIndex={0}>
      <Table verticalSpacing="xs" highlightOnHover {...(minWidth !== undefined && { miw: minWidth })}>
        <Table.Thead>
          <Table.Tr>
            {heads.map((head, at) => (
              <Table.Th key={at}>{head}</Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>{children}</Table.Tbody>
      </Table>
    </div>
  );
}
