// What is going on in an account: its devices, who comes, who is turned away, what ends soon, and whether the server is well.

import { Button } from '@mantine/core';
import { Link } from 'wouter';
import { useDeviceCounts } from '../../api/queries.ts';
import { useMay } from '../../api/session.tsx';
import type { OfAccount } from '../../app.tsx';
import { useAddress } from '../../parts/address.ts';
import { Asked } from '../../parts/asked.tsx';
import type { Step } from '../../parts/chart.tsx';
import { Empty } from '../../parts/empty.tsx';
import { Page } from '../../parts/page.tsx';
import { texts } from '../../texts.ts';
import { steps, useActivity } from './activity.ts';
import { CertificatesLeft } from './certificates-left.tsx';
import { DeviceFigures } from './device-figures.tsx';
import { Feed } from './feed.tsx';
import { Health } from './health.tsx';
import { KeysRunningOut } from './keys-running-out.tsx';
import './overview.css';
import { Provisioned } from './provisioned.tsx';
import { RefusalRules } from './refusal-rules.tsx';

const said = texts.overview;

export function Overview({ account }: OfAccount) {
  const may = useMay();
  const [given, setStep] = useAddress('step');
  const step: Step = steps.find((each) => each === given) ?? 'minute';
  const counts = useDeviceCounts(account);
  const activity = useActivity(account, step);
  const isEmpty = counts.data?.devices === 0;
  return (
    <Page title={said.title} about={said.about}>
      {isEmpty && (
        <Empty title={said.empty} text={said.emptyText}>
          {may('createCredentials', account) && (
            <Button component={Link} href={`/welcome/${account}`}>
              {said.firstDevice}
            </Button>
          )}
        </Empty>
      )}
      {!isEmpty && (
        <Asked query={counts}>
          {(data) => (
            <DeviceFigures
              account={account}
              counts={data}
              seen={activity.data?.seen_5_minutes}
              at={activity.dataUpdatedAt}
            />
          )}
        </Asked>
      )}
      {!isEmpty && may('getActivity', account) && (
        <Provisioned
          account={account}
          activity={activity}
          step={step}
          onStep={(next) => setStep(next === 'minute' ? null : next)}
        />
      )}
      <div className="cards">
        {may('getActivity', account) && <RefusalRules account={account} activity={activity} />}
        {counts.data && !isEmpty && (
          <CertificatesLeft account={account} counts={counts.data} activity={activity.data} at={counts.dataUpdatedAt} />
        )}
        {may('listProvisioningKeys', account) && <KeysRunningOut account={account} />}
        <Health account={account} />
        {may('listEvents', account) && <Feed account={account} />}
      </div>
    </Page>
  );
}
