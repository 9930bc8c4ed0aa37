// The orders that lines have worked on, each with what came of it; one of them can be looked at alone.

import { Button, Table } from '@mantine/core';
import { useAddress } from '../../parts/address.ts';
import { Rows } from '../../parts/rows.tsx';
import { Section } from '../../parts/section.tsx';
import { texts } from '../../texts.ts';
import type { Reconciliation } from './factory.tsx';

const said = texts.factory;

export function Orders({ found }: { found: Reconciliation }) {
  const [order, setOrder] = useAddress('order');
  const lines = new Map(found.lines.map(({ id, name }) => [id, name]));
  return (
    <Section
      title={order === null ? said.orders : said.orderOf(order)}
      about={order === null ? said.ordersAbout : said.orderAbout}
      actions={
        order !== null && (
          <Button variant="default" onClick={() => setOrder(null)}>
            {said.allOrders}
          </Button>
        )
      }
    >
      {found.orders.length > 0 && (
        <Rows
          label={said.orders}
          heads={[said.order, said.line, said.heads.made, said.heads.seen, said.heads.missing, said.heads.withdrawn]}
        >
          {found.orders.map((each) => (
            <Table.Tr key={`${each.line} ${each.order}`}>
              <Table.Td>
                {order === null ? (
                  <Button
                    variant="subtle"
                    size="compact-sm"
                    onClick={() => setOrder(each.order)}
                    aria-label={said.onlyOrder(each.order)}
                  >
                    {each.order}
                  </Button>
                ) : (
                  each.order
                )}
              </Table.Td>
              <Table.Td>{lines.get(each.line) ?? each.line.slice(0, 8)}</Table.Td>
              <Table.Td>{texts.number(each.made)}</Table.Td>
              <Table.Td>{texts.number(each.seen)}</Table.Td>
              <Table.Td>{texts.number(each.missing)}</Table.Td>
              <Table.Td>{texts.number(each.withdrawn)}</Table.Td>
            </Table.Tr>
          ))}
        </Rows>
      )}
    </Section>
  );
}
