// What waits for somebody's word: new devices, and new keys of known ones; accepted and rejected one by one or many at once.

import { Alert, Anchor, Button, Grid, Group, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import { useAccount, useFleetRootCas } from '../../api/queries.ts';
import { useMay } from '../../api/session.tsx';
import type { OfAccount } from '../../app.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Destructive } from '../../parts/destructive.tsx';
import { Empty } from '../../parts/empty.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Page } from '../../parts/page.tsx';
import { texts } from '../../texts.ts';
import { AcceptMany } from './accept-many.tsx';
import { accept, rejection } from './decisions.ts';
import { Newcomer } from './newcomer.tsx';
import { Queue, QueueKeys } from './queue.tsx';
import { shapeOf, useWaiting, type Waiting } from './waiting.ts';

export function Pending({ account }: OfAccount) {
  const waiting = useWaiting(account);
  return (
    <Page title={texts.pending.title} about={texts.pending.about}>
      <Asked query={waiting}>
        {(rows) => (
          <>
            <Worklist account={account} rows={rows} />
            {waiting.hasMore && (
              <Group>
                <Button variant="default" loading={waiting.loadsMore} onClick={waiting.loadMore}>
                  {texts.common.more}
                </Button>
              </Group>
            )}
          </>
        )}
      </Asked>
    </Page>
  );
}

/** What is being done to which of them. */
type Doing = { readonly what: 'accept' | 'reject'; readonly rows: readonly Waiting[] };

function Worklist({ account, rows }: OfAccount & { rows: readonly Waiting[] }) {
  const said = texts.pending;
  const client = useQueryClient();
  const may = useMay();
  const roots = new Map(useFleetRootCas(account).data?.map(({ id, name }) => [id, name] as const));
  const [place, setPlace] = useState({ uuid: '', at: 0 });
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const [asking, setAsking] = useState<Doing | null>(null);
  const [told, setTold] = useState<string | null>(null);

  // Where the current one has gone, what took its place is.
  const current = rows.find(({ uuid }) => uuid === place.uuid) ?? rows[Math.min(place.at, rows.length - 1)];
  const chosen = rows.filter(({ uuid }) => marked.has(uuid));
  const targets = chosen.length > 0 ? chosen : current ? [current] : [];
  const choose = (some: readonly Waiting[]): void => setMarked(new Set(some.map(({ uuid }) => uuid)));

  const done = async ({ what, rows: decided }: Doing): Promise<void> => {
    setMarked((before) => new Set([...before].filter((uuid) => decided.every((row) => row.uuid !== uuid))));
    const [one, ...others] = decided;
    const past = what === 'accept' ? 'accepted' : 'rejected';
    setTold(others.length === 0 && one ? said[past](one.deviceId) : said[`${past}Many`](decided.length));
    await Promise.all(
      ['devices', 'certificates', 'device', 'counts'].map((part) =>
        client.invalidateQueries({ queryKey: [account, part] }),
      ),
    );
  };
  const accepting = useMutation({
    mutationFn: (some: readonly Waiting[]) => accept(account, some),
    onSuccess: (_, some) => done({ what: 'accept', rows: some }),
    // Some of them may have been accepted all the same.
    onError: () => client.invalidateQueries({ queryKey: [account, 'devices'] }),
  });
  const decide = (what: Doing['what'], some: readonly Waiting[]): void => {
    if (some.length === 0 || accepting.isPending) return;
    setTold(null);
    if (what === 'accept' && some.length === 1) accepting.mutate(some);
    else setAsking({ what, rows: some });
  };
  const mayAccept = may('approveDevice', account);
  const mayReject = may('rejectDevice', account);

  return (
    <Stack>
      {told !== null && (
        <Alert color="teal" variant="outline" role="status">
          {told}
        </Alert>
      )}
      <Failure error={accepting.error} />
      {current === undefined ? (
        <NothingWaits account={account} />
      ) : (
        <>
          <Group justify="space-between">
            <Text role="status">
              {[said.waits(rows.length), ...(chosen.length > 0 ? [said.chosen(chosen.length)] : [])].join(', ')}
            </Text>
            <Group gap="xs">
              <Button variant="default" onClick={() => choose(chosen.length === rows.length ? [] : rows)}>
                {chosen.length === rows.length ? said.chooseNone : said.chooseAll}
              </Button>
              {chosen.length > 0 && mayAccept && (
                <Button onClick={() => decide('accept', chosen)} loading={accepting.isPending}>
                  {said.acceptMany(chosen.length)}
                </Button>
              )}
              {chosen.length > 0 && mayReject && (
                <Button variant="outline" color="red" onClick={() => decide('reject', chosen)}>
                  {said.rejectMany(chosen.length)}
                </Button>
              )}
            </Group>
          </Group>
          <QueueKeys decides={mayAccept} />
          <Grid>
            <Grid.Col span={{ base: 12, lg: 6 }}>
              <Queue
                rows={rows}
                current={current}
                chosen={marked}
                roots={roots}
                onMove={(row) => setPlace({ uuid: row.uuid, at: rows.indexOf(row) })}
                onChoose={({ uuid }) =>
                  setMarked(
                    (before) =>
                      new Set([...before].filter((each) => each !== uuid).concat(before.has(uuid) ? [] : [uuid])),
                  )
                }
                onAccept={mayAccept ? () => decide('accept', targets) : undefined}
                onReject={mayReject ? () => decide('reject', targets) : undefined}
              />
            </Grid.Col>
            <Grid.Col span={{ base: 12, lg: 6 }}>
              <Newcomer
                key={current.uuid}
                account={account}
                row={current}
                roots={roots}
                alike={rows.filter(({ deviceId }) => shapeOf(deviceId) === shapeOf(current.deviceId)).length}
                onChooseAlike={() =>
                  choose(rows.filter(({ deviceId }) => shapeOf(deviceId) === shapeOf(current.deviceId)))
                }
                onAccept={mayAccept ? () => decide('accept', [current]) : undefined}
                onReject={mayReject ? () => decide('reject', [current]) : undefined}
                busy={accepting.isPending}
              />
            </Grid.Col>
          </Grid>
        </>
      )}
      {asking?.what === 'accept' && (
        <AcceptMany
          rows={asking.rows}
          roots={roots}
          error={accepting.error}
          busy={accepting.isPending}
          onAccept={() => accepting.mutate(asking.rows, { onSuccess: () => setAsking(null) })}
          onClose={() => setAsking(null)}
        />
      )}
      {asking?.what === 'reject' && (
        <Reject account={account} rows={asking.rows} onDone={() => void done(asking)} onClose={() => setAsking(null)} />
      )}
    </Stack>
  );
}

/** The rejection, of one by its device ID, of several by their number. */
function Reject({
  account,
  rows,
  onDone,
  onClose,
}: OfAccount & { rows: readonly Waiting[]; onDone: () => void; onClose: () => void }) {
  const said = texts.pending;
  const [{ preview, act }] = useState(() => rejection(account, rows));
  const [one, ...others] = rows;
  if (one === undefined) return null;
  const many = others.length > 0;
  return (
    <Destructive
      title={many ? said.rejectMany(rows.length) : said.reject(one.deviceId)}
      about={said.rejectAbout[many ? 'many' : one.what]}
      typed={many ? String(rows.length) : one.deviceId}
      preview={preview}
      act={act}
      onDone={onDone}
      onClose={onClose}
    />
  );
}

function NothingWaits({ account }: OfAccount) {
  const said = texts.pending;
  const { data } = useAccount(account);
  return (
    <Empty title={said.empty} text={data?.admission === 'approval' ? said.emptyApproval : said.emptyAutomatic}>
      <Anchor component={Link} href={`/accounts/${account}/settings`}>
        {said.toSettings}
      </Anchor>
    </Empty>
  );
}
