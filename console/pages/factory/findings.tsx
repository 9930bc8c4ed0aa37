// The lists of a reconciliation: the first hundred of each kind, and a way to all.

import { Alert, Button, Select, Stack, Text } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { api, pageOf } from '../../api/client.ts';
import { useAddress } from '../../parts/address.ts';
import { Failure } from '../../parts/failure.tsx';
import { More } from '../../parts/more.tsx';
import { Section } from '../../parts/section.tsx';
import { texts } from '../../texts.ts';
import type { Reconciliation } from './factory.tsx';
import { type ManifestCertificate, ManifestCertificates, Strangers } from './finding-rows.tsx';

/** What the lists are of, by the members of a reconciliation. */
const kinds = ['never_seen', 'strangers', 'unaccounted', 'coming', 'shared', 'beyond'] as const;
export type Kind = (typeof kinds)[number];
/** What a list of certificates is asked for by. */
const standings = { never_seen: 'missing', coming: 'coming', shared: 'shared', beyond: 'beyond' } as const;
type Certified = keyof typeof standings;
const atOnce = 500;

/** Whether what a list holds ought not to be. */
export const isAmiss = (kind: Kind): boolean => kind !== 'never_seen' && kind !== 'unaccounted';

const said = texts.factory;

export function Findings({ account, found }: { account: string; found: Reconciliation }) {
  const [asked, setKind] = useAddress('list');
  // Unless one was chosen, what is amiss comes first.
  const kind =
    kinds.find((each) => each === asked) ??
    kinds.find((each) => isAmiss(each) && found[each].count > 0) ??
    'never_seen';
  const count = found[kind].count;
  const lines = new Map(found.lines.map(({ id, name }) => [id, name]));
  return (
    <div id="findings">
      <Section title={said.findings} about={said.findingsAbout}>
        <Select
          label={said.whichList}
          data={kinds.map((each) => ({ value: each, label: said.kindCounted(said.kinds[each], found[each].count) }))}
          value={kind}
          onChange={setKind}
          allowDeselect={false}
          maw={420}
        />
        <Alert
          color={count > 0 && isAmiss(kind) ? 'red' : 'gray'}
          variant="outline"
          title={said.kindCounted(said.kinds[kind], count)}
        >
          <Text size="sm">{said.meanings[kind]}</Text>
          {count > 0 && <Text size="sm">{said.remedies[kind]}</Text>}
        </Alert>
        {count > 0 &&
          (kind === 'strangers' || kind === 'unaccounted' ? (
            <Strangers label={said.kinds[kind]} rows={found[kind].first} lines={lines} count={count} />
          ) : (
            <Certificates key={kind} account={account} kind={kind} found={found[kind]} lines={lines} />
          ))}
      </Section>
    </div>
  );
}

/** The first hundred come with the reconciliation; all of them are asked for where the reader wants them. */
function Certificates({
  account,
  kind,
  found,
  lines,
}: {
  account: string;
  kind: Certified;
  found: Reconciliation[Certified];
  lines: ReadonlyMap<string, string>;
}) {
  const [order] = useAddress('order');
  const [all, setAll] = useAddress('all');
  const list = useInfiniteQuery({
    queryKey: [account, 'factory', 'certificates', kind, order],
    enabled: all !== null,
    initialPageParam: null as string | null,
    queryFn: ({ pageParam: cursor }) =>
      pageOf<ManifestCertificate>(
        api.GET('/api/v1/accounts/{account}/manifests/certificates', {
          params: {
            path: { account },
            query: {
              standing: standings[kind],
              limit: atOnce,
              ...(order !== null && { order }),
              ...(cursor !== null && { cursor }),
            },
          },
        }),
      ),
    getNextPageParam: ({ next }) => next,
  });
  const rows = (all !== null && list.data?.pages.flatMap((page) => page.rows)) || found.first;
  return (
    <Stack>
      <Text component="output" size="sm">
        {said.shown(rows.length, found.count)}
      </Text>
      <ManifestCertificates label={said.kinds[kind]} rows={rows} lines={lines} />
      <Failure error={list.error} title={texts.common.notRead} />
      {rows.length < found.count && !list.data && (
        <Button variant="default" onClick={() => setAll('yes')} loading={list.isFetching}>
          {said.showAll(found.count)}
        </Button>
      )}
      {all !== null && <More query={list} />}
    </Stack>
  );
}
