// By what each Fleet Root CA admits: whatever its chain proves, or what a manifest holds alone.

import { Button, Table, Text } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useFleetRootCas } from '../../api/queries.ts';
import { useMay } from '../../api/session.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Rows } from '../../parts/rows.tsx';
import { Section } from '../../parts/section.tsx';
import { StateBadge } from '../../parts/state-badge.tsx';
import { texts } from '../../texts.ts';
import { ChangeRoot } from '../fleet-root-cas/change-root.tsx';
import type { FleetRootCa } from '../fleet-root-cas/changes.ts';

const said = texts.factory;
const roots = texts.fleetRootCas;

export function Admission({ account }: { account: string }) {
  const client = useQueryClient();
  const cas = useFleetRootCas(account);
  const mayChange = useMay()('updateFleetRootCa', account);
  const [changing, setChanging] = useState<FleetRootCa | null>(null);
  return (
    <Section title={said.admission} about={said.admissionAbout}>
      <Asked query={cas}>
        {(all) =>
          all.length === 0 ? (
            <Text>{said.noRoots}</Text>
          ) : (
            <Rows
              label={said.admission}
              heads={[said.root, said.state, said.admits, ...(mayChange ? [said.change] : [])]}
            >
              {all.map((ca) => (
                <Table.Tr key={ca.id}>
                  <Table.Td>{ca.name}</Table.Td>
                  <Table.Td>
                    <StateBadge state={ca.state} />
                  </Table.Td>
                  <Table.Td>{roots.admits[ca.admit]}</Table.Td>
                  {mayChange && (
                    <Table.Td>
                      <Button
                        variant="default"
                        size="compact-sm"
                        onClick={() => setChanging(ca)}
                        aria-label={roots.titles[other(ca)](ca.name)}
                      >
                        {said.admitDo[other(ca)]}
                      </Button>
                    </Table.Td>
                  )}
                </Table.Tr>
              ))}
            </Rows>
          )
        }
      </Asked>
      {changing && (
        <ChangeRoot
          account={account}
          ca={changing}
          change={{ is: other(changing) }}
          onDone={() => void client.invalidateQueries({ queryKey: [account, 'fleet-root-cas'] })}
          onClose={() => setChanging(null)}
        />
      )}
    </Section>
  );
}

/** What it could be changed to. */
const other = ({ admit }: FleetRootCa) => (admit === 'chain' ? 'manifest' : 'chain');
