// The hosts under which the device gateway of an account answers.

import { Button, Table, Text } from '@mantine/core';
import { useState } from 'react';
import { answerOf, api, type Impact, type Schema } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { Copy } from '../../parts/copy.tsx';
import { Destructive } from '../../parts/destructive.tsx';
import { Rows } from '../../parts/rows.tsx';
import { Section } from '../../parts/section.tsx';
import { texts } from '../../texts.ts';
import { useAccountChanged } from './account-changed.ts';
import { HostForm } from './host-form.tsx';

const said = texts.settings;

export function Hosts({ account, of }: { account: string; of: Schema<'Account'> }) {
  const may = useMay();
  const changed = useAccountChanged(account);
  const [removing, setRemoving] = useState<string | null>(null);
  const mayRemove = may('removeHost', account);
  return (
    <Section title={said.hosts} about={said.hostsAbout}>
      <Rows label={said.hosts} heads={[said.host, ...(mayRemove ? [said.change] : [])]}>
        {of.hosts.map((each) => (
          <Table.Tr key={each}>
            <Table.Td>
              <Copy value={each} what={said.hostWhat} />
            </Table.Td>
            {mayRemove && (
              <Table.Td>
                <Button
                  variant="outline"
                  color="red"
                  size="compact-sm"
                  onClick={() => setRemoving(each)}
                  aria-label={said.removeHost(each)}
                >
                  {said.remove}
                </Button>
              </Table.Td>
            )}
          </Table.Tr>
        ))}
      </Rows>
      {may('addHost', account) ? <HostForm account={account} /> : <Text size="sm">{said.hostsOthers}</Text>}
      {removing !== null && (
        <Removal account={account} host={removing} onDone={changed} onClose={() => setRemoving(null)} />
      )}
    </Section>
  );
}

function Removal({
  account,
  host,
  onDone,
  onClose,
}: {
  account: string;
  host: string;
  onDone: () => void;
  onClose: () => void;
}) {
  const call = (query: { dry_run: true } | { confirm: number }) =>
    answerOf(api.DELETE('/api/v1/accounts/{account}/hosts/{host}', { params: { path: { account, host }, query } }));
  return (
    <Destructive
      title={said.removeHost(host)}
      typed={host}
      preview={() => call({ dry_run: true }) as Promise<Impact>}
      act={(confirm) => call({ confirm })}
      onDone={onDone}
      onClose={onClose}
    />
  );
}
