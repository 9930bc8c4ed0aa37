// Where an owner signs whom the account trusts: what counts, and what waits for the signature. The console signs nothing.

import { Alert, List, Paper, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { answerOf, api, type Schema } from '../../api/client.ts';
import { Asked } from '../../parts/asked.tsx';
import { Copy, CopyBlock } from '../../parts/copy.tsx';
import { Instant } from '../../parts/instant.tsx';
import { Said } from '../../parts/said.tsx';
import { texts } from '../../texts.ts';
import './fleet-root-cas.css';

const said = texts.fleetRootCas.owner;

export function OwnersSignature({ account }: { account: Schema<'Account'> }) {
  const { owner_key, trust_set, name } = account;
  if (owner_key === null || trust_set === null) return null;
  const { fault, number, sha256, accepted_at, narrowed, waiting } = trust_set;
  return (
    <Paper withBorder p="md" component="section" aria-label={said.title}>
      <Stack gap="sm">
        <Title order={2}>{said.title}</Title>
        <Text size="sm">{said.about}</Text>
        {fault !== null && (
          <Alert color="red" variant="outline" title={said.fault} role="alert">
            <Text size="sm">
              <Said text={fault.rule} />
            </Text>
            <Text size="sm">
              <Said text={fault.remedy} />
            </Text>
          </Alert>
        )}
        <Text size="sm" component="div">
          {said.key(owner_key.algorithm)} <Copy value={owner_key.sha256} what={said.keyWhat} />
        </Text>
        <Text size="sm" component="div">
          {number === 0 ? (
            said.nothingSigned
          ) : (
            <>
              {said.set(number)} <Instant at={accepted_at} />
            </>
          )}
        </Text>
        {sha256 !== null && (
          <Text size="sm" component="div">
            {said.document} <Copy value={sha256} what={said.documentWhat} />
          </Text>
        )}
        {narrowed.length > 0 && (
          <>
            <Text size="sm">{said.narrowed}</Text>
            <List size="sm">
              {narrowed.map(({ id, kind, fleet_root_ca, public_key_sha256, at }) => (
                <List.Item key={id}>
                  {said.narrowedAs[kind](
                    account.fleet_root_cas.find((ca) => ca.id === fleet_root_ca)?.name ??
                      public_key_sha256.slice(0, 16),
                  )}{' '}
                  <Instant at={at} />
                </List.Item>
              ))}
            </List>
          </>
        )}
        {waiting ? <Waiting account={name} /> : <Text size="sm">{said.nothingWaits}</Text>}
      </Stack>
    </Paper>
  );
}

function Waiting({ account }: { account: string }) {
  const next = useQuery({
    queryKey: [account, 'fleet-root-cas', 'next-set'],
    queryFn: () => answerOf(api.GET('/api/v1/accounts/{account}/trust-sets/next', { params: { path: { account } } })),
  });
  return (
    <>
      <Title order={3}>{said.waits}</Title>
      <Asked query={next} lines={2}>
        {({ number, differences }) => (
          <>
            <List size="sm">
              {differences.map(({ change, what }) => (
                <List.Item key={`${change} ${what}`} className="root-subject">
                  {said.changes[change]}: {what}
                </List.Item>
              ))}
            </List>
            <Text size="sm">{said.sign}</Text>
            <CopyBlock value={said.commands(account, number)} what={said.commandsWhat} />
            <Text size="sm">{said.docs}</Text>
          </>
        )}
      </Asked>
    </>
  );
}
