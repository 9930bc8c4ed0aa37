// How the server is: what /readyz tells, and whether it came out of a back-up.

import { Alert, Button, List, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { answerOf, api, askServer, Refused } from '../../api/client.ts';
import { Asked } from '../../parts/asked.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Instant } from '../../parts/instant.tsx';
import { texts } from '../../texts.ts';

/** Something that is amiss while devices are served, as /readyz tells it. */
interface Fault {
  readonly part: keyof typeof texts.custody.parts;
  readonly reason: string;
  readonly since: string;
  readonly custodian?: string;
  readonly account?: string;
  readonly worker?: number;
}
interface Told {
  readonly serving: boolean;
  /** What it says where devices are not served. */
  readonly why: string | null;
  readonly faults: readonly Fault[];
}

async function readiness(): Promise<Told> {
  try {
    const { faults = [] } = (await (await askServer('/readyz')).json()) as { faults?: Fault[] };
    return { serving: true, why: null, faults };
  } catch (error) {
    if (error instanceof Refused && error.status === 503) return { serving: false, why: error.message, faults: [] };
    throw error;
  }
}

export function Readiness() {
  const query = useQuery({ queryKey: ['server', 'readiness'], queryFn: readiness, refetchInterval: 15_000 });
  const said = texts.custody;
  return (
    <Asked query={query} lines={1}>
      {({ serving, why, faults }) => {
        if (!serving) {
          return (
            <Alert color="red" variant="outline" title={said.notServing}>
              {why}
            </Alert>
          );
        }
        if (faults.length === 0) return <Text>{said.ready}</Text>;
        return (
          <Alert color="red" variant="outline" title={said.degraded}>
            <List size="sm">
              {faults.map((fault) => (
                <List.Item key={JSON.stringify(fault)}>
                  {said.parts[fault.part]}
                  {whichOf(fault)}: {fault.reason} ({said.since} <Instant at={fault.since} />)
                </List.Item>
              ))}
            </List>
          </Alert>
        );
      }}
    </Asked>
  );
}

function whichOf({ custodian, account, worker }: Fault): string {
  const which = custodian ?? account ?? worker;
  return which === undefined ? '' : ` (${which})`;
}

/** The notice of a restoration, until somebody has seen to it. */
export function Restoration() {
  const client = useQueryClient();
  const query = useQuery({
    queryKey: ['server', 'restoration'],
    queryFn: () => answerOf(api.GET('/api/v1/restoration')),
  });
  const acknowledging = useMutation({
    mutationFn: () => answerOf(api.POST('/api/v1/restoration/acknowledge')),
    onSuccess: () => client.invalidateQueries({ queryKey: ['server'] }),
  });
  const said = texts.custody;
  if (query.error !== null) return <Failure error={query.error} title={texts.common.notRead} />;
  if (query.data == null || query.data.restored_at === null) return null;
  const { restored_at, backup_made_at, audit_number } = query.data;
  return (
    <Alert color="yellow" variant="outline" title={said.restored}>
      <Stack gap="xs">
        <Text size="sm">{said.restoredText}</Text>
        <Text size="sm">
          {said.restoredAt} <Instant at={restored_at} />. {said.restoredFrom} <Instant at={backup_made_at} />.{' '}
          {audit_number !== null && `${said.restoredAudit} ${texts.number(audit_number)}.`}
        </Text>
        <Failure error={acknowledging.error} />
        <div>
          <Button variant="default" onClick={() => acknowledging.mutate()} loading={acknowledging.isPending}>
            {said.acknowledge}
          </Button>
        </div>
      </Stack>
    </Alert>
  );
}
