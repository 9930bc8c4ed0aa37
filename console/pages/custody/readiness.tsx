// How the server is: what /readyz tells, and whether it came out of a back-up.

import { Alert, Button, List, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { answerOf, api } from '../../api/client.ts';
import { type ReadinessFault, useReadiness, whichOf } from '../../api/readiness.ts';
import { Asked } from '../../parts/asked.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Instant } from '../../parts/instant.tsx';
import { Said } from '../../parts/said.tsx';
import { texts } from '../../texts.ts';

export function Readiness() {
  const query = useReadiness(null);
  const said = texts.custody;
  const nameOf = ({ part }: ReadinessFault): string => said.parts[part as keyof typeof said.parts] ?? part;
  return (
    <Asked query={query} lines={1}>
      {({ notServing, faults }) => {
        if (notServing !== null) {
          return (
            <Alert color="red" variant="outline" title={said.notServing}>
              <Said text={notServing} />
            </Alert>
          );
        }
        if (faults.length === 0) return <Text>{said.ready}</Text>;
        return (
          <Alert color="red" variant="outline" title={said.degraded}>
            <List size="sm">
              {faults.map((fault) => (
                <List.Item key={JSON.stringify(fault)}>
                  {nameOf(fault)}
                  {whichOf(fault) !== null && ` (${whichOf(fault)})`}: <Said text={fault.reason} /> ({said.since}{' '}
                  <Instant at={fault.since} />)
                </List.Item>
              ))}
            </List>
          </Alert>
        );
      }}
    </Asked>
  );
}

/** The notice of a restoration, until somebody has seen to it. */
export function Restoration() {
  const client = useQueryClient();
  const query = useQuery({
    queryKey: ['/server', 'restoration'],
    queryFn: () => answerOf(api.GET('/api/v1/restoration')),
  });
  const acknowledging = useMutation({
    mutationFn: () => answerOf(api.POST('/api/v1/restoration/acknowledge')),
    onSuccess: () => client.invalidateQueries({ queryKey: ['/server'] }),
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
