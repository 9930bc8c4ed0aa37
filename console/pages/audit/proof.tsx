// Whether the audit log is whole, in words: what the server finds of it, and what one needs to prove a copy elsewhere.

import { Alert, Button, Group, Paper, Stack, Text, Title } from '@mantine/core';
import { IconShieldCheck, IconShieldX } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type Answer, answerOf, api } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { Asked } from '../../parts/asked.tsx';
import { CopyBlock } from '../../parts/copy.tsx';
import { download } from '../../parts/download.ts';
import { Failure } from '../../parts/failure.tsx';
import { Instant } from '../../parts/instant.tsx';
import { texts } from '../../texts.ts';

type Verdict = Answer<'verifyAudit'>;
const command = 'fleetroot audit verify audit.jsonl --checkpoint checkpoint.json --public-key audit.pub';

export function Proof() {
  const may = useMay();
  const said = texts.audit;
  return (
    <Paper withBorder p="md" component="section" aria-label={said.proof}>
      <Stack gap="sm">
        <Title order={2}>{said.proof}</Title>
        {may('verifyAudit') ? <OwnProof /> : <Text size="sm">{said.proofOthers}</Text>}
      </Stack>
    </Paper>
  );
}

function OwnProof() {
  const client = useQueryClient();
  const said = texts.audit;
  const verdict = useQuery({
    queryKey: ['/server', 'audit', 'verification'],
    queryFn: () => answerOf(api.GET('/api/v1/audit/verification')),
    // It reads the whole log.
    staleTime: 300_000,
  });
  const checkpoints = useQuery({
    queryKey: ['/server', 'audit', 'checkpoints'],
    queryFn: () => answerOf(api.GET('/api/v1/audit/checkpoints', { params: { query: { limit: 1 } } })),
  });
  const signing = useMutation({
    mutationFn: () => answerOf(api.POST('/api/v1/audit/checkpoints')),
    onSuccess: () => client.invalidateQueries({ queryKey: ['/server', 'audit', 'checkpoints'] }),
  });
  const [latest] = checkpoints.data?.checkpoints ?? [];
  const publicKey = checkpoints.data?.public_key ?? null;
  return (
    <>
      <Asked query={verdict} lines={2}>
        {(data) => <VerdictSaid verdict={data} />}
      </Asked>
      <Text size="sm">{said.proofWhose}</Text>
      <CopyBlock value={command} what={said.proofCommand} />
      <Group gap="xs">
        <Button variant="default" onClick={() => void verdict.refetch()} loading={verdict.isFetching}>
          {said.verify}
        </Button>
        <Button variant="default" component="a" href="/api/v1/audit/export" download="audit.jsonl">
          {said.export}
        </Button>
        <Button variant="default" onClick={() => signing.mutate()} loading={signing.isPending}>
          {said.sign}
        </Button>
        {latest !== undefined && (
          <Button
            variant="default"
            onClick={() => download('checkpoint.json', `${JSON.stringify(latest)}\n`, 'application/json')}
          >
            {said.checkpoint}
          </Button>
        )}
        {publicKey !== null && (
          <Button variant="default" onClick={() => download('audit.pub', publicKey, 'application/x-pem-file')}>
            {said.publicKey}
          </Button>
        )}
      </Group>
      {signing.data !== undefined && (
        <Text size="sm" role="status">
          {said.signed(signing.data.number)}
        </Text>
      )}
      <Failure error={signing.error ?? checkpoints.error} />
    </>
  );
}

function VerdictSaid({
  verdict: { ok, intact_to, confirmed_to, last_checkpoint, first_misfit, at },
}: {
  verdict: Verdict;
}) {
  const said = texts.audit;
  if (!ok && first_misfit !== null) {
    return (
      <Alert
        color="red"
        variant="outline"
        icon={<IconShieldX aria-hidden />}
        title={said.proofMisfit(first_misfit.number)}
        role="alert"
      >
        <Text size="sm">{first_misfit.sentence}</Text>
        <Text size="sm">{said.proofIntactTo(intact_to)}</Text>
      </Alert>
    );
  }
  if (intact_to === 0) return <Text>{said.proofEmpty}</Text>;
  return (
    <Alert
      role="status"
      color="teal"
      variant="outline"
      icon={<IconShieldCheck aria-hidden />}
      title={said.proofOk(intact_to)}
    >
      <Text size="sm">
        {last_checkpoint === null ? (
          said.proofUnconfirmed
        ) : (
          <>
            {said.proofConfirmed(confirmed_to)} <Instant at={last_checkpoint.at} />.{' '}
            {intact_to > confirmed_to && said.proofLater(intact_to - confirmed_to)}
          </>
        )}
      </Text>
      <Text size="sm">
        {said.checkedAt} <Instant at={at} />
      </Text>
    </Alert>
  );
}
