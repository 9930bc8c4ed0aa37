// A table of some tens or hundreds of rows. Lists that may be long are parts/long-list.tsx.

import { Table } from '@mantine/core';
import type { ReactNode } from 'react';

/** What a column takes at least, in rem: below it the table scrolls sideways rather than break words. */
const columnWidth = 7.5;

/** `label` names the table to a screen reader; on a narrow screen it scrolls sideways by itself. */
export function Rows({ label, heads, children }: { label: string; heads: readonly ReactNode[]; children: ReactNode }) {
  return (
    <div className="table-scroll" role="region" aria-label={label} tabIndex={0}>
      <Table
        verticalSpacing="xs"
        highlightOnHover
        {...(heads.length > 2 && { miw: `${heads.length * columnWidth}rem` })}
      >
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
