// The gateway CAs of an account: the one whose certificates the gateway shows, the one on standby, and the switch between them.

import { Button, Group, Table, Text } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useState } from 'react';
import { answerOf, api, type Impact, type Schema } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { Copy, CopyBlock } from '../../parts/copy.tsx';
import { Destructive } from '../../parts/destructive.tsx';
import { download } from '../../parts/download.ts';
import { Instant } from '../../parts/instant.tsx';
import { Rows } from '../../parts/rows.tsx';
import { Said } from '../../parts/said.tsx';
import { Section } from '../../parts/section.tsx';
import { StateBadge } from '../../parts/state-badge.tsx';
import { texts } from '../../texts.ts';
import { ExportKey } from '../fleet-root-cas/export-key.tsx';
import { useAccountChanged } from './account-changed.ts';

type Account = Schema<'Account'>;
type Act = 'switch' | 'erase' | 'export';

const said = texts.settings.gatewayCas;

export function GatewayCas({ account, of }: { account: string; of: Account }) {
  const may = useMay();
  const [act, setAct] = useState<Act | null>(null);
  const standby = of.gateway_cas.find(({ state }) => state === 'standby');
  return (
    <Section
      title={said.title}
      about={said.about}
      actions={
        standby && (
          <Group gap="sm">
            {may('switchGatewayCa', account) && standby.key_state === 'held' && (
              <Button variant="outline" color="red" onClick={() => setAct('switch')}>
                {said.switch}
              </Button>
            )}
            {may('exportStandbyGatewayCaKey', account) && standby.key_state === 'held' && (
              <Button variant="default" onClick={() => setAct('export')}>
                {said.export}
              </Button>
            )}
            {may('eraseStandbyGatewayCaKey', account) && standby.key_state === 'held' && (
              <Button variant="outline" color="red" onClick={() => setAct('erase')}>
                {said.erase}
              </Button>
            )}
          </Group>
        )
      }
    >
      <Rows label={said.title} heads={[said.state, said.ends, said.custodian, said.key, said.sha256, said.certificate]}>
        {of.gateway_cas.map((ca) => (
          <Table.Tr key={ca.id}>
            <Table.Td>{said.states[ca.state]}</Table.Td>
            <Table.Td>
              <Instant at={ca.not_after} />
            </Table.Td>
            <Table.Td>{ca.custodian}</Table.Td>
            <Table.Td>
              <StateBadge state={ca.key_state} />
            </Table.Td>
            <Table.Td>
              <Copy value={ca.sha256} shown={`${ca.sha256.slice(0, 16)}…`} what={said.sha256What} />
            </Table.Td>
            <Table.Td>
              <Button
                variant="default"
                size="compact-sm"
                leftSection={<IconDownload size={14} aria-hidden />}
                onClick={() =>
                  download(`${of.name}-gateway-ca-${ca.state}.crt`, ca.certificate, 'application/x-pem-file')
                }
                aria-label={said.saveOf(said.states[ca.state])}
              >
                {said.save}
              </Button>
            </Table.Td>
          </Table.Tr>
        ))}
      </Rows>
      {standby?.key_state === 'erased' && (
        <>
          <Text size="sm">{said.outside}</Text>
          <CopyBlock value={said.import(of.name)} what={said.importWhat} />
        </>
      )}
      {act === 'export' && (
        <ExportKey
          name={said.standby(of.name)}
          about={said.exportAbout}
          give={(passphrase) =>
            answerOf(
              api.POST('/api/v1/accounts/{account}/gateway-cas/standby/export', {
                params: { path: { account } },
                body: { passphrase },
              }),
            )
          }
          onClose={() => setAct(null)}
        />
      )}
      {act !== null && act !== 'export' && (
        <Acting account={account} name={of.name} act={act} onClose={() => setAct(null)} />
      )}
    </Section>
  );
}

function Acting({
  account,
  name,
  act,
  onClose,
}: {
  account: string;
  name: string;
  act: 'switch' | 'erase';
  onClose: () => void;
}) {
  const changed = useAccountChanged(account);
  const call = (query: { dry_run: true } | { confirm: number }) => {
    const params = { path: { account }, query };
    return act === 'switch'
      ? answerOf(api.POST('/api/v1/accounts/{account}/gateway-cas/switch', { params }))
      : answerOf(api.POST('/api/v1/accounts/{account}/gateway-cas/standby/erase', { params }));
  };
  return (
    <Destructive
      title={said.acts[act]}
      about={<Said text={said.abouts[act]} />}
      typed={name}
      preview={() => call({ dry_run: true }) as Promise<Impact>}
      act={(confirm) => call({ confirm })}
      onDone={changed}
      onClose={onClose}
    />
  );
}
