// Credentials of an account: its provisioning keys with what is left of each, and new archives for images.

import { Button, Stack, Table, Text } from '@mantine/core';
import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, type Impact, pageOf, type Schema } from '../../api/client.ts';
import { useAccount } from '../../api/queries.ts';
import { useMay } from '../../api/session.tsx';
import type { OfAccount } from '../../app.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Destructive } from '../../parts/destructive.tsx';
import { Empty } from '../../parts/empty.tsx';
import { Failure } from '../../parts/failure.tsx';
import { More } from '../../parts/more.tsx';
import { Page } from '../../parts/page.tsx';
import { Rows } from '../../parts/rows.tsx';
import { texts } from '../../texts.ts';
import { keyName, KeyRow } from './key-row.tsx';
import { MakeCredentials } from './make-credentials.tsx';
import { MadeCredentials } from './made-credentials.tsx';

type ProvisioningKey = Schema<'ProvisioningKey'>;
type Made = Parameters<typeof MadeCredentials>[0]['made'];

/** What is shown above the page. */
type Open =
  | { readonly is: 'form' }
  | { readonly is: 'made'; readonly made: Made }
  | { readonly is: 'disable'; readonly key: ProvisioningKey };

const said = texts.credentials;
/** Each row comes with the IDs of a thousand devices. */
const atOnce = 20;

export function Credentials({ account }: OfAccount) {
  const may = useMay();
  const client = useQueryClient();
  const its = useAccount(account);
  const keys = useInfiniteQuery({
    queryKey: [account, 'provisioning-keys', 'list'],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam: cursor }) =>
      pageOf(
        api.GET('/api/v1/accounts/{account}/provisioning-keys', {
          params: { path: { account }, query: { limit: atOnce, devices: 0, ...(cursor !== null && { cursor }) } },
        }),
      ),
    getNextPageParam: ({ next }) => next,
  });
  const [open, setOpen] = useState<Open | null>(null);
  const close = () => setOpen(null);
  const changed = () => void client.invalidateQueries({ queryKey: [account, 'provisioning-keys'] });
  const rows = keys.data?.pages.flatMap((page) => page.rows) ?? [];
  const production = its.data?.kind === 'production';
  const make = may('createCredentials', account) && (
    <Button onClick={() => setOpen({ is: 'form' })}>{said.make}</Button>
  );
  return (
    <Page title={said.title} about={production ? said.aboutProduction : said.about} actions={rows.length > 0 && make}>
      <Asked query={its}>
        {({ kind }) => (
          <>
            <Failure error={keys.error} title={texts.common.notRead} />
            {keys.data !== undefined && rows.length === 0 && (
              <Empty title={said.none[kind]} text={said.noneText[kind]}>
                {make === false ? <Text>{said.mayNot}</Text> : make}
              </Empty>
            )}
            {rows.length > 0 && (
              <Stack>
                <Rows label={said.list} heads={said.heads}>
                  {rows.map((key) => (
                    <KeyRow key={key.id} account={account} of={key}>
                      <Table.Td>
                        {key.state !== 'disabled' && may('disableProvisioningKey', account) && (
                          <Button
                            variant="outline"
                            color="red"
                            size="compact-sm"
                            onClick={() => setOpen({ is: 'disable', key })}
                            aria-label={said.disableNamed(keyName(key))}
                          >
                            {said.disable}
                          </Button>
                        )}
                      </Table.Td>
                    </KeyRow>
                  ))}
                </Rows>
                <More query={keys} />
              </Stack>
            )}
          </>
        )}
      </Asked>
      {open?.is === 'form' && its.data && (
        <MakeCredentials
          account={its.data}
          onClose={close}
          onMade={(made) => {
            changed();
            setOpen({ is: 'made', made });
          }}
        />
      )}
      {open?.is === 'made' && <MadeCredentials made={open.made} onClose={close} />}
      {open?.is === 'disable' && <Disable account={account} of={open.key} onDone={changed} onClose={close} />}
    </Page>
  );
}

function Disable({
  account,
  of,
  onDone,
  onClose,
}: {
  account: string;
  of: ProvisioningKey;
  onDone: () => void;
  onClose: () => void;
}) {
  const path = '/api/v1/accounts/{account}/provisioning-keys/{id}/disable';
  const params = { path: { account, id: of.id } };
  return (
    <Destructive
      title={said.disableNamed(keyName(of))}
      about={said.disableAbout}
      typed={keyName(of)}
      preview={() => answerOf(api.POST(path, { params: { ...params, query: { dry_run: true } } })) as Promise<Impact>}
      act={(confirm) => answerOf(api.POST(path, { params: { ...params, query: { confirm } } }))}
      onDone={onDone}
      onClose={onClose}
    />
  );
}
