// The first device of a production account: a Fleet Root CA of one's own, and a certificate that it has signed.

import { Button, Group, Text } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Schema } from '../../api/client.ts';
import { useFleetRootCas } from '../../api/queries.ts';
import { useMay } from '../../api/session.tsx';
import { Asked } from '../../parts/asked.tsx';
import { CopyBlock } from '../../parts/copy.tsx';
import { texts } from '../../texts.ts';
import { RegisterRoot } from '../fleet-root-cas/register-root.tsx';
import { Arrival } from './arrival.tsx';
import { localConf, own, pushes } from './commands.ts';
import { CredentialsMaker } from './credentials-maker.tsx';
import { Part } from './part.tsx';
import { type Way, Ways } from './ways.tsx';

export function DeviceCredentials({ account }: { account: Schema<'Account'> }) {
  const said = texts.firstStart;
  const [entries, setEntries] = useState<readonly string[]>(account.files);
  const ways: readonly Way[] = [
    {
      name: said.curl,
      about: said.ownAbout,
      blocks: [{ what: said.commandsOf(said.curl), text: own.curl }],
    },
    {
      name: said.provider,
      about: said.providerAbout,
      blocks: [
        { what: said.commandsOf(said.provider), text: own.provider },
        { what: said.sotaWhat, text: own.sota, about: said.sotaAbout },
      ],
    },
    {
      name: said.yocto,
      about: said.yoctoDeviceAbout,
      blocks: [{ what: said.yoctoWhat, text: localConf('device', entries) }],
      note: pushes(entries) ? null : said.yoctoPush,
    },
  ];
  return (
    <>
      <Part number={1} title={said.root} about={said.rootAbout}>
        <Registered account={account.name} />
      </Part>
      <Part number={2} title={said.credentials} about={said.credentialsDevice}>
        <CredentialsMaker account={account} onMade={setEntries} />
      </Part>
      <Part number={3} title={said.start} about={said.startAbout}>
        <Ways ways={ways} />
      </Part>
      <Part number={4} title={said.arrival}>
        <Arrival account={account.name} />
      </Part>
    </>
  );
}

/** Whether there is one, and how there comes to be; events tell when another has registered it. */
function Registered({ account }: { account: string }) {
  const said = texts.firstStart;
  const roots = useFleetRootCas(account);
  const may = useMay();
  const client = useQueryClient();
  const [registering, setRegistering] = useState(false);
  return (
    <>
      <Asked query={roots} lines={1}>
        {(list) => (
          <>
            <Text role="status" fw={600}>
              {list.length === 0 ? said.rootNone : said.rootThere(list.length)}
            </Text>
            {list.length === 0 && (
              <>
                <Text>{said.rootTry}</Text>
                <CopyBlock value={own.root} what={said.rootCommands} />
              </>
            )}
          </>
        )}
      </Asked>
      {may('registerFleetRootCa', account) ? (
        <Group>
          <Button variant="default" onClick={() => setRegistering(true)}>
            {texts.fleetRootCas.register}
          </Button>
        </Group>
      ) : (
        <Text>{said.rootNot}</Text>
      )}
      {registering && (
        <RegisterRoot
          account={account}
          onDone={() => {
            setRegistering(false);
            for (const part of ['fleet-root-cas', 'account'])
              void client.invalidateQueries({ queryKey: [account, part] });
          }}
          onClose={() => setRegistering(false)}
        />
      )}
    </>
  );
}
