// An allow-list is dropped: first what would come of it, row by row where one is wrong; then it is taken.

import { Alert, Button, Group, Modal, Stack, Table, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, type Answer, fileBody } from '../../api/client.ts';
import { drawn } from '../../parts/drawn.ts';
import { Failure } from '../../parts/failure.tsx';
import { type DroppedFile, FileDrop } from '../../parts/file-drop.tsx';
import { Rows } from '../../parts/rows.tsx';
import { texts } from '../../texts.ts';

const said = texts.factory.allowList;

export function AllowListImport({ account, onClose }: { account: string; onClose: () => void }) {
  const client = useQueryClient();
  const [file, setFile] = useState<DroppedFile | null>(null);
  const call = ({ bytes }: DroppedFile, query: { dry_run?: true }) =>
    answerOf(
      api.POST('/api/v1/accounts/{account}/allow-list', { params: { path: { account }, query }, ...fileBody(bytes) }),
    );
  const trying = useMutation({ mutationFn: (dropped: DroppedFile) => call(dropped, { dry_run: true }) });
  const doing = useMutation({
    mutationFn: (dropped: DroppedFile) => call(dropped, {}),
    onSuccess: () => void client.invalidateQueries({ queryKey: [account, 'allow-list'] }),
  });
  const take = (dropped: DroppedFile) => {
    setFile(dropped);
    doing.reset();
    trying.mutate(dropped);
  };
  const found = trying.data;
  return (
    <Modal opened onClose={onClose} title={said.import} size="lg">
      <Stack>
        <Text size="sm">{said.importAbout}</Text>
        <FileDrop label={said.drop} accept=".csv,.txt,text/csv,text/plain" file={file?.name} onFile={take} />
        {trying.isPending && (
          <Text component="output" size="sm">
            {said.trying}
          </Text>
        )}
        <Failure error={trying.error ?? doing.error} />
        {doing.data ? <Verdict of={doing.data} done /> : found && <Verdict of={found} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {doing.data ? texts.common.close : texts.common.cancel}
          </Button>
          {file && found && found.rows > found.faults_total && !doing.data && (
            <Button onClick={() => doing.mutate(file)} loading={doing.isPending}>
              {said.importRows(found.rows - found.faults_total)}
            </Button>
          )}
        </Group>
      </Stack>
    </Modal>
  );
}

/** What came of a file, or would. */
function Verdict({ of, done = false }: { of: Answer<'importAllowList'>; done?: boolean }) {
  return (
    <>
      <Alert
        role="status"
        color={of.faults_total > 0 ? 'red' : 'teal'}
        variant="outline"
        title={done ? said.done : said.would}
      >
        <Text size="sm">{said.verdict(of.rows, of.added, of.already, of.updated)}</Text>
        {of.faults_total > 0 && <Text size="sm">{said.faults(of.faults_total)}</Text>}
      </Alert>
      {of.faults.length > 0 && (
        <Rows label={said.faultsList} heads={[said.row, said.deviceId, said.fault]}>
          {of.faults.map((fault) => (
            <Table.Tr key={fault.line}>
              <Table.Td>{texts.number(fault.line)}</Table.Td>
              <Table.Td className="mono">{drawn(fault.device_id)}</Table.Td>
              <Table.Td>{fault.fault}</Table.Td>
            </Table.Tr>
          ))}
        </Rows>
      )}
    </>
  );
}
