// The audit log, of an account or of the server: which entries, what each says, and whether it is whole.

import './audit.css';
import { Button, Group, Text } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useEvery } from '../../live/live.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Empty } from '../../parts/empty.tsx';
import { useZone } from '../../parts/instant.tsx';
import { More } from '../../parts/more.tsx';
import { Page } from '../../parts/page.tsx';
import { Rows } from '../../parts/rows.tsx';
import { texts } from '../../texts.ts';
import { type AuditEntry, auditPage } from './audit-calls.ts';
import { EntryRow } from './entry-row.tsx';
import { Filters, useFilter } from './filters.tsx';
import { Proof } from './proof.tsx';

/** Not all that is in the log comes with an event, in milliseconds. */
const lookEvery = 15_000;
/** What an entry is known by: its number it has a moment later. */
const nameOf = ({ at, action, by, object }: AuditEntry): string => [at, by.request, action, object.id].join(' ');

/** `account` is null for the whole server. */
export function Audit({ account }: { account: string | null }) {
  const [filter, setFilter] = useFilter();
  const [zone] = useZone();
  const said = texts.audit;
  const query = useInfiniteQuery({
    queryKey: [account ?? '/server', 'audit', 'entries', filter],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam }) => auditPage(account, filter, pageParam),
    getNextPageParam: ({ next }) => next,
  });
  // Entries do not move away under the reader: they are told of those that have come.
  const newest = useQuery({
    queryKey: [account ?? '/server', 'newest-audit', filter],
    queryFn: () => auditPage(account, filter, null),
    refetchInterval: useEvery(lookEvery),
    staleTime: 0,
  });
  const [first] = query.data?.pages[0]?.rows ?? [];
  const rows = newest.dataUpdatedAt > query.dataUpdatedAt ? (newest.data?.rows ?? []) : [];
  const at = first === undefined ? rows.length : rows.findIndex((entry) => nameOf(entry) === nameOf(first));
  const more = at === -1 ? rows.length : at;
  const filtered = Object.keys(filter).length > 0;
  return (
    <Page
      title={account === null ? said.titleServer : said.title}
      about={account === null ? said.aboutServer : said.aboutAccount}
      actions={
        <Button variant="default" onClick={() => void query.refetch()} loading={query.isRefetching}>
          {said.again}
        </Button>
      }
    >
      <Proof />
      <Filters key={JSON.stringify([filter, zone])} filter={filter} onFilter={setFilter} />
      <Group role="status">
        {more > 0 && (
          <>
            <Text size="sm">{said.newEntries(more, at === -1)}</Text>
            <Button variant="default" size="compact-md" onClick={() => void query.refetch()}>
              {said.showNew}
            </Button>
          </>
        )}
      </Group>
      <Asked query={query} lines={8}>
        {({ pages }) => {
          const entries = pages.flatMap(({ rows }) => rows);
          return (
            <>
              {entries.length > 0 && (
                <Rows label={said.list} heads={[said.details, said.when, said.who, said.what, said.on, said.result]}>
                  {entries.map((entry) => (
                    <EntryRow key={nameOf(entry)} entry={entry} />
                  ))}
                </Rows>
              )}
              {entries.length === 0 && !query.hasNextPage && (
                <Empty title={filtered ? said.noneSo : said.none} text={filtered ? said.noneSoText : said.noneText} />
              )}
              <More query={query} />
            </>
          );
        }}
      </Asked>
    </Page>
  );
}
