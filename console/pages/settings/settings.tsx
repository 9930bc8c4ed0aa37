// An account itself: who it is, its policies, its gateway CAs, its files and back ends, the keys that count, and its end.

import { useAccount } from '../../api/queries.ts';
import { useMay } from '../../api/session.tsx';
import type { OfAccount } from '../../app.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Page } from '../../parts/page.tsx';
import { texts } from '../../texts.ts';
import { BackEnds } from './back-ends.tsx';
import { Deletion } from './deletion.tsx';
import { Files } from './files.tsx';
import { GatewayCas } from './gateway-cas.tsx';
import { Hosts } from './hosts.tsx';
import { Identity } from './identity.tsx';
import { IssuingKeys } from './issuing-keys.tsx';
import { Owner } from './owner.tsx';
import { Policies } from './policies.tsx';

const said = texts.settings;

export function Settings({ account }: OfAccount) {
  const its = useAccount(account);
  const may = useMay();
  return (
    <Page title={said.title} about={said.about}>
      <Asked query={its} lines={8}>
        {(of) => (
          <>
            <Identity of={of} />
            <Hosts account={account} of={of} />
            <Policies account={account} of={of} />
            <IssuingKeys of={of} />
            <GatewayCas account={account} of={of} />
            <Owner of={of} />
            <Files account={account} of={of} />
            <BackEnds account={account} name={of.name} />
            {may('deleteAccount', account) && <Deletion account={account} of={of} />}
          </>
        )}
      </Asked>
    </Page>
  );
}
