// An account's first device: what it needs, how it is started, and a place that turns green when it comes.

import { useState } from 'react';
import { useParams } from 'wouter';
import { useHistoryState } from 'wouter/use-browser-location';
import type { Schema } from '../../api/client.ts';
import { useAccount } from '../../api/queries.ts';
import { Asked } from '../../parts/asked.tsx';
import { Page } from '../../parts/page.tsx';
import { texts } from '../../texts.ts';
import { Arrival } from './arrival.tsx';
import { localConf, pushes, shared } from './commands.ts';
import { CredentialsMaker } from './credentials-maker.tsx';
import { DeviceCredentials } from './device-credentials.tsx';
import { Part } from './part.tsx';
import { Steps } from './steps.tsx';
import { type Way, Ways } from './ways.tsx';

export function FirstDevice() {
  const { account } = useParams<{ account: string }>();
  return <Welcome key={account} account={account} />;
}

function Welcome({ account: name }: { account: string }) {
  const said = texts.firstStart;
  const found = useAccount(name);
  const fromFirstStart = useHistoryState<{ firstStart?: boolean } | null>()?.firstStart === true;
  const kind = found.data?.kind;
  return (
    <Page title={said.welcome(name)} {...(kind && { about: kind === 'test' ? said.sharedAbout : said.deviceAbout })}>
      {fromFirstStart && <Steps now="device" />}
      <Asked query={found}>
        {(account) =>
          account.kind === 'test' ? <SharedCredentials account={account} /> : <DeviceCredentials account={account} />
        }
      </Asked>
    </Page>
  );
}

function SharedCredentials({ account }: { account: Schema<'Account'> }) {
  const said = texts.firstStart;
  // Those of an archive that was not made yet: what the account puts into each.
  const [entries, setEntries] = useState<readonly string[]>(account.files);
  const ways: readonly Way[] = [
    {
      name: said.curl,
      about: said.curlAbout,
      blocks: [{ what: said.commandsOf(said.curl), text: shared.curl }],
    },
    {
      name: said.aktualizr,
      about: said.aktualizrAbout,
      blocks: [{ what: said.commandsOf(said.aktualizr), text: shared.aktualizr }],
    },
    {
      name: said.yocto,
      about: said.yoctoAbout,
      blocks: [{ what: said.yoctoWhat, text: localConf('shared', entries) }],
      note: pushes(entries) ? null : said.yoctoPush,
    },
  ];
  return (
    <>
      <Part number={1} title={said.credentials} about={said.credentialsShared}>
        <CredentialsMaker account={account} onMade={setEntries} />
      </Part>
      <Part number={2} title={said.start} about={said.startAbout}>
        <Ways ways={ways} />
      </Part>
      <Part number={3} title={said.arrival}>
        <Arrival account={account.name} />
      </Part>
    </>
  );
}
