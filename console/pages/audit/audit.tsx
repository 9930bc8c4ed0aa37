// The audit log, of an account or of the server: which entries, what each says, and whether it is whole.

import './audit.css';
import { Button } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Asked } from '../../parts/asked.tsx';
import { Empty } from '../../parts/empty.tsx';
import { More } from '../../parts/more.tsx';
import { Page } from '../../parts/page.tsx';
import { Rows } from '../../parts/rows.tsx';
import { texts } from '../../texts.ts';
import { auditPage } from './audit-calls.ts';
import { EntryRow } from './entry-row.tsx';
import { Filters, useFilter } from './filters.tsx';
import { Proof } from './proof.tsx';

/** `account` is null for the whole server. */
export function Audit({ account }: { account: string | null }) {
  const [filter, setFilter] = useFilter();
  const said = texts.audit;
  const query = useInfiniteQuery({
    queryKey: [account ?? 'server', 'audit', 'entries', filter],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam }) => auditPage(account, filter, pageParam),
    getNextPageParam: ({ next }) => next,
  });
  const filtered = Object.keys(filter).length > 0;
  return (
    <Page
      title={said.title}
      about={account === null ? said.aboutServer : said.aboutAccount}
      actions={
        <Button variant="default" onClick={() => void query.refetch()} loading={query.isRefetching}>
          {said.again}
        </Button>
      }
    >
      <Proof />
      <Filters key={JSON.stringify(filter)} filter={filter} onFilter={setFilter} />
      <Asked query={query} lines={8}>
        {({ pages }) => {
          const entries = pages.flatMap(({ rows }) => rows);
          return (
            <>
              {entries.length > 0 && (
                <Rows label={said.list} heads={[said.details, said.when, said.who, said.what, said.on, said.result]}>
                  {entries.map((entry) => (
                    <EntryRow
                      key={`${entry.number ?? ''} ${entry.at} ${entry.by.request ?? ''} ${entry.action} ${entry.object.id}`}
                      entry={entry}
                    />
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
