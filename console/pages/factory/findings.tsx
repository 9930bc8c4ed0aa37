// The lists of a reconciliation: the first hundred of each kind, and a way to all.

import { Alert, Button, Select, Stack, Text } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { api, type Page, pageOf } from '../../api/client.ts';
import { useAddress } from '../../parts/address.ts';
import { Failure } from '../../parts/failure.tsx';
import { More } from '../../parts/more.tsx';
import { Section } from '../../parts/section.tsx';
import { texts } from '../../texts.ts';
import type { Reconciliation } from './factory.tsx';
import { type ManifestCertificate, ManifestCertificates, type Stranger, Strangers } from './finding-rows.tsx';

/** What the lists are of, by the members of a reconciliation. */
const kinds = ['never_seen', 'strangers', 'unaccounted', 'coming', 'shared', 'beyond'] as const;
export type Kind = (typeof kinds)[number];
/** What a list of certificates is asked for by. */
const standings = { never_seen: 'missing', coming: 'coming', shared: 'shared', beyond: 'beyond' } as const;
const isOfStrangers = (kind: Kind): kind is Exclude<Kind, keyof typeof standings> => !(kind in standings);
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
        {count > 0 && <Found key={kind} account={account} kind={kind} found={found} lines={lines} />}
      </Section>
    </div>
  );
}

/** The first hundred come with the reconciliation; all of them are asked for where the reader wants them. */
function Found({
  account,
  kind,
  found,
  lines,
}: {
  account: string;
  kind: Kind;
  found: Reconciliation;
  lines: ReadonlyMap<string, string>;
}) {
  const [order] = useAddress('order');
  const [all, setAll] = useAddress('all');
  const path = { account };
  const list = useInfiniteQuery({
    queryKey: [account, 'factory', 'certificates', kind, order],
    enabled: all !== null,
    initialPageParam: null as string | null,
    queryFn: ({ pageParam: cursor }): Promise<Page<ManifestCertificate | Stranger>> => {
      const page = { limit: atOnce, ...(cursor !== null && { cursor }) };
      if (isOfStrangers(kind)) {
        const query = { ...page, standing: kind };
        return pageOf(api.GET('/api/v1/accounts/{account}/manifests/strangers', { params: { path, query } }));
      }
      const query = { ...page, standing: standings[kind], ...(order !== null && { order }) };
      return pageOf(api.GET('/api/v1/accounts/{account}/manifests/certificates', { params: { path, query } }));
    },
    getNextPageParam: ({ next }) => next,
  });
  const { count, first } = found[kind];
  const rows = (all !== null && list.data?.pages.flatMap((page) => page.rows)) || first;
  const shown = { label: said.kinds[kind], lines };
  return (
    <Stack>
      <Text component="output" size="sm">
        {said.shown(rows.length, count)}
      </Text>
      {isOfStrangers(kind) ? (
        <Strangers {...shown} rows={rows as readonly Stranger[]} />
      ) : (
        <ManifestCertificates {...shown} rows={rows as readonly ManifestCertificate[]} />
      )}
      <Failure error={list.error} title={texts.common.notRead} />
      {rows.length < count && !list.data && (
        <Button variant="default" onClick={() => setAll('yes')} loading={list.isFetching}>
          {said.showAll(count)}
        </Button>
      )}
      {all !== null && <More query={list} />}
    </Stack>
  );
}
