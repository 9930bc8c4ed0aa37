// By what each Fleet Root CA admits: whatever its chain proves, or what a manifest holds alone.

import { Button, Table, Text } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, type Impact, type Schema } from '../../api/client.ts';
import { useFleetRootCas } from '../../api/queries.ts';
import { useMay } from '../../api/session.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Destructive } from '../../parts/destructive.tsx';
import { Rows } from '../../parts/rows.tsx';
import { Section } from '../../parts/section.tsx';
import { StateBadge } from '../../parts/state-badge.tsx';
import { texts } from '../../texts.ts';

type FleetRootCa = Schema<'FleetRootCa'>;

const said = texts.factory;

export function Admission({ account }: { account: string }) {
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
              minWidth="36rem"
              label={said.admission}
              heads={[said.root, said.state, said.admits, ...(mayChange ? [said.change] : [])]}
            >
              {all.map((ca) => (
                <Table.Tr key={ca.id}>
                  <Table.Td>{ca.name}</Table.Td>
                  <Table.Td>
                    <StateBadge state={ca.state} />
                  </Table.Td>
                  <Table.Td>{said.admitBy[ca.admit]}</Table.Td>
                  {mayChange && (
                    <Table.Td>
                      <Button
                        variant="default"
                        size="compact-sm"
                        onClick={() => setChanging(ca)}
                        aria-label={said.admitTitle[other(ca)](ca.name)}
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
      {changing && <Change account={account} ca={changing} onClose={() => setChanging(null)} />}
    </Section>
  );
}

const other = ({ admit }: FleetRootCa) => (admit === 'chain' ? 'manifest' : 'chain');

function Change({ account, ca, onClose }: { account: string; ca: FleetRootCa; onClose: () => void }) {
  const client = useQueryClient();
  const admit = other(ca);
  const call = (query: { dry_run: true } | { confirm: number }) =>
    answerOf(
      api.PATCH('/api/v1/accounts/{account}/fleet-root-cas/{ca}', {
        params: { path: { account, ca: ca.id }, query },
        body: { admit },
      }),
    );
  return (
    <Destructive
      title={said.admitTitle[admit](ca.name)}
      about={said.admitMeans[admit]}
      typed={ca.name}
      preview={() => call({ dry_run: true }) as Promise<Impact>}
      act={(confirm) => call({ confirm })}
      onDone={() => void client.invalidateQueries({ queryKey: [account, 'fleet-root-cas'] })}
      onClose={onClose}
    />
  );
}
