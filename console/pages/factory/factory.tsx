// What factory lines say that they have made, held against what has come; and the allow-list.

import { Button, Stack, Tabs } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, type Answer } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import type { OfAccount } from '../../app.tsx';
import { useEvery } from '../../live/live.tsx';
import { useAddress } from '../../parts/address.ts';
import { Asked } from '../../parts/asked.tsx';
import { Empty } from '../../parts/empty.tsx';
import { Page } from '../../parts/page.tsx';
import { texts } from '../../texts.ts';
import { Admission } from './admission.tsx';
import { AllowList } from './allow-list.tsx';
import { Figures } from './figures.tsx';
import { Findings } from './findings.tsx';
import { Lines } from './lines.tsx';
import { ManifestImport } from './manifest-import.tsx';
import { Orders } from './orders.tsx';

export type Reconciliation = Answer<'reconcileManifests'>;

const said = texts.factory;
/** How often what has come is counted again, in milliseconds. */
const often = 30_000;

export function Factory({ account }: OfAccount) {
  const [part, setPart] = useAddress('part');
  const [importing, setImporting] = useState(false);
  const may = useMay();
  const mayImport = may('importManifest', account);
  return (
    <Page
      title={said.title}
      about={said.about}
      actions={mayImport && <Button onClick={() => setImporting(true)}>{said.importManifest}</Button>}
    >
      <Tabs
        value={part === 'allow-list' ? part : 'made'}
        onChange={(to) => setPart(to === 'made' ? null : to)}
        keepMounted={false}
      >
        <Tabs.List mb="lg">
          <Tabs.Tab value="made">{said.parts.made}</Tabs.Tab>
          <Tabs.Tab value="allow-list">{said.parts.allowList}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="made">
          <Made account={account} onImport={mayImport ? () => setImporting(true) : null} />
        </Tabs.Panel>
        <Tabs.Panel value="allow-list">
          <AllowList account={account} />
        </Tabs.Panel>
      </Tabs>
      {importing && <ManifestImport account={account} onClose={() => setImporting(false)} />}
    </Page>
  );
}

/** What was made, and what has come of it. */
function Made({ account, onImport }: { account: string; onImport: (() => void) | null }) {
  const [order] = useAddress('order');
  const may = useMay();
  const reconciliation = useQuery({
    queryKey: [account, 'factory', 'reconciliation', order],
    queryFn: () =>
      answerOf(
        api.GET('/api/v1/accounts/{account}/reconciliation', {
          params: { path: { account }, query: order === null ? {} : { order } },
        }),
      ),
    // That a device of a manifest has come is no event, and the factory's people hear none.
    refetchInterval: useEvery(often),
    placeholderData: (before) => before,
  });
  return (
    <Asked query={reconciliation} lines={8}>
      {(found) => (
        <Stack gap="lg">
          {found.lines.length === 0 ? (
            <Empty title={said.none} text={said.noneText}>
              {onImport && <Button onClick={onImport}>{said.importManifest}</Button>}
            </Empty>
          ) : (
            <>
              <Figures found={found} />
              <Lines account={account} found={found} />
              <Orders found={found} />
              <Findings account={account} found={found} />
            </>
          )}
          {may('listFleetRootCas', account) && <Admission account={account} />}
        </Stack>
      )}
    </Asked>
  );
}
