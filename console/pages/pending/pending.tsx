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
import { drawn } from '../../parts/drawn.ts';
import { Empty } from '../../parts/empty.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Page } from '../../parts/page.tsx';
import { texts } from '../../texts.ts';
import { AcceptMany } from './accept-many.tsx';
import { accept, rejection } from './decisions.ts';
import { useHand } from './hand.ts';
import { Newcomer } from './newcomer.tsx';
import { Queue, QueueKeys } from './queue.tsx';
import { shapeOf } from './shape.ts';
import { type Total, useWaiting, type Waiting } from './waiting.ts';

export function Pending({ account }: OfAccount) {
  const waiting = useWaiting(account);
  return (
    <Page title={texts.pending.title} about={texts.pending.about}>
      <Asked query={waiting}>
        {(rows) => (
          <>
            <Worklist account={account} rows={rows} total={waiting.total ?? { count: rows.length, atLeast: false }} />
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

function Worklist({ account, rows, total }: OfAccount & { rows: readonly Waiting[]; total: Total }) {
  const said = texts.pending;
  const client = useQueryClient();
  const may = useMay();
  const roots = new Map(useFleetRootCas(account).data?.map(({ id, name }) => [id, name] as const));
  const hand = useHand(rows);
  const { current, chosen, gone } = hand;
  const [asking, setAsking] = useState<Doing | null>(null);
  const [told, setTold] = useState<string | null>(null);
  const targets = chosen.length > 0 ? chosen : current ? [current] : [];

  const askAgain = (...parts: string[]): Promise<unknown> =>
    Promise.all(parts.map((part) => client.invalidateQueries({ queryKey: [account, part] })));
  const done = async ({ what, rows: decided }: Doing): Promise<void> => {
    const [one, ...others] = decided;
    const past = what === 'accept' ? 'accepted' : 'rejected';
    setTold(others.length === 0 && one ? said[past](drawn(one.deviceId)) : said[`${past}Many`](decided.length));
    await askAgain('devices', 'certificates', 'device', 'counts');
  };
  const acceptAll = async (some: readonly Waiting[]): Promise<void> => {
    try {
      await accept(account, some, (row) => hand.done(row, some));
    } catch (error) {
      // Some of them may have been accepted all the same.
      await askAgain('devices', 'certificates', 'counts');
      throw error;
    }
  };
  const accepting = useMutation({
    mutationFn: acceptAll,
    onSuccess: (_, some) => done({ what: 'accept', rows: some }),
  });
  const decide = (what: Doing['what'], some: readonly Waiting[]): void => {
    if (some.length === 0 || accepting.isPending) return;
    setTold(null);
    if (what === 'accept' && some.length === 1) accepting.mutate(some);
    else setAsking({ what, rows: some });
  };
  /** By a key: of what was looked at, not of what has come in its place. */
  const decideTargets = (what: Doing['what']) => () => {
    if (gone.length === 0) decide(what, targets);
  };
  const mayAccept = may('approveDevice', account);
  const mayReject = may('rejectDevice', account);
  const allShown = total.count === rows.length && !total.atLeast;
  const alike = current ? rows.filter(({ deviceId }) => shapeOf(deviceId) === shapeOf(current.deviceId)) : [];

  return (
    <Stack>
      {told !== null && (
        <Alert color="teal" variant="outline" role="status">
          {told}
        </Alert>
      )}
      <Failure error={accepting.error} />
      {gone[0] && (
        <Alert
          color="yellow"
          variant="outline"
          role="status"
          title={said.gone(drawn(gone[0].deviceId), gone.length - 1)}
        >
          {rows.length > 0 && said.goneText}
        </Alert>
      )}
      {rows.length === 0 ? (
        <NothingWaits account={account} />
      ) : (
        <>
          <Group justify="space-between">
            <Text role="status">
              {[
                said.waits(total.count, total.atLeast),
                ...(allShown ? [] : [said.ofThem(rows.length)]),
                ...(chosen.length > 0 ? [said.chosen(chosen.length)] : []),
              ].join(', ')}
            </Text>
            <Group gap="xs">
              <Button variant="default" onClick={() => hand.choose(chosen.length === rows.length ? [] : rows)}>
                {chosen.length === rows.length
                  ? said.chooseNone
                  : allShown
                    ? said.chooseAll(rows.length)
                    : said.chooseShown(rows.length, total.count)}
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
                at={hand.at}
                chosen={new Set(chosen)}
                roots={roots}
                onMove={hand.move}
                onChoose={hand.toggle}
                onAccept={mayAccept ? decideTargets('accept') : undefined}
                onReject={mayReject ? decideTargets('reject') : undefined}
              />
            </Grid.Col>
            <Grid.Col span={{ base: 12, lg: 6 }}>
              {current && (
                <Newcomer
                  key={current.uuid}
                  account={account}
                  row={current}
                  roots={roots}
                  alike={alike.length}
                  shown={allShown ? null : rows.length}
                  onChooseAlike={() => hand.choose(alike)}
                  onAccept={mayAccept ? () => decide('accept', [current]) : undefined}
                  onReject={mayReject ? () => decide('reject', [current]) : undefined}
                  busy={accepting.isPending}
                />
              )}
            </Grid.Col>
          </Grid>
        </>
      )}
      {asking?.what === 'accept' && (
        <AcceptMany
          rows={asking.rows}
          roots={roots}
          act={() => acceptAll(asking.rows)}
          onDone={() => void done(asking)}
          onClose={() => setAsking(null)}
        />
      )}
      {asking?.what === 'reject' && (
        <Reject
          account={account}
          rows={asking.rows}
          onEach={(row) => hand.done(row, asking.rows)}
          onDone={() => void done(asking)}
          onClose={() => setAsking(null)}
        />
      )}
    </Stack>
  );
}

/** The rejection, of one by its device ID, of several by their number. */
function Reject({
  account,
  rows,
  onEach,
  onDone,
  onClose,
}: OfAccount & {
  rows: readonly Waiting[];
  onEach: (row: Waiting) => void;
  onDone: () => void;
  onClose: () => void;
}) {
  const said = texts.pending;
  const [{ preview, act }] = useState(() => rejection(account, rows, onEach));
  const [one, ...others] = rows;
  if (one === undefined) return null;
  const many = others.length > 0;
  return (
    <Destructive
      title={many ? said.rejectMany(rows.length) : said.reject(drawn(one.deviceId))}
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
