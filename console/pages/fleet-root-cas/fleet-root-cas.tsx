// The Fleet Root CAs that an account trusts: who hangs on each, where its key lies, and what can be done to it.

import { Alert, Button, Stack } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useAccount, useFleetRootCas } from '../../api/queries.ts';
import { useMay } from '../../api/session.tsx';
import type { OfAccount } from '../../app.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Empty } from '../../parts/empty.tsx';
import { Page } from '../../parts/page.tsx';
import { texts } from '../../texts.ts';
import { DistrustedKeys } from './distrusted-keys.tsx';
import { OwnersSignature } from './owners-signature.tsx';
import { RegisterRoot } from './register-root.tsx';
import { RootCard } from './root-card.tsx';

const said = texts.fleetRootCas;

export function FleetRootCas({ account }: OfAccount) {
  const may = useMay();
  const client = useQueryClient();
  const its = useAccount(account);
  const cas = useFleetRootCas(account);
  const [registering, setRegistering] = useState(false);
  /** What was done, for whoever does not see the list change. */
  const [done, setDone] = useState<string | null>(null);
  const changed = (what: string) => {
    setDone(what);
    for (const part of ['fleet-root-cas', 'account']) void client.invalidateQueries({ queryKey: [account, part] });
  };
  const register = may('registerFleetRootCa', account) && (
    <Button onClick={() => setRegistering(true)}>{said.register}</Button>
  );
  return (
    <Page title={said.title} about={said.about} actions={register}>
      {done !== null && (
        <Alert
          role="status"
          color="teal"
          variant="outline"
          title={done}
          withCloseButton
          closeButtonLabel={texts.common.close}
          onClose={() => setDone(null)}
        />
      )}
      <Asked query={its}>
        {(itself) => (
          <Stack gap="lg">
            {itself.owner_key !== null && <OwnersSignature account={itself} />}
            <Asked query={cas}>
              {(all) =>
                all.length === 0 ? (
                  <Empty title={said.none} text={said.noneText} />
                ) : (
                  <Stack>
                    {all.map((ca) => (
                      <RootCard key={ca.id} account={itself} ca={ca} all={all} onDone={changed} />
                    ))}
                  </Stack>
                )
              }
            </Asked>
            <DistrustedKeys account={itself} onDone={changed} />
          </Stack>
        )}
      </Asked>
      {registering && (
        <RegisterRoot
          account={account}
          onDone={(what) => {
            changed(what);
            setRegistering(false);
          }}
          onClose={() => setRegistering(false)}
        />
      )}
    </Page>
  );
}
