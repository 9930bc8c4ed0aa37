// A manifest is dropped and imported, line by line, each with its verdict.

import { Alert, Button, Group, Modal, Stack, Table, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Failure } from '../../parts/failure.tsx';
import { type DroppedFile, FileDrop } from '../../parts/file-drop.tsx';
import { Rows } from '../../parts/rows.tsx';
import { texts } from '../../texts.ts';
import { type Imported, importLines, linesOf } from './manifest.ts';

const said = texts.factory;

/** The dialog. What was imported before a refusal stays imported: each line is taken whole or not at all. */
export function ManifestImport({ account, onClose }: { account: string; onClose: () => void }) {
  const client = useQueryClient();
  const [imported, setImported] = useState<readonly Imported[]>([]);
  const doing = useMutation({
    async mutationFn({ bytes }: DroppedFile) {
      setImported([]);
      const lines = linesOf(bytes);
      if (lines.length === 0) throw new Error(said.manifestEmpty);
      await importLines(account, lines, (one) => setImported((before) => [...before, one]));
    },
    async onSettled() {
      await Promise.all(
        ['factory', 'allow-list', 'fleet-root-cas', 'devices'].map((part) =>
          client.invalidateQueries({ queryKey: [account, part] }),
        ),
      );
    },
  });
  const file = doing.variables;
  const lines = file === undefined ? 0 : linesOf(file.bytes).length;
  return (
    <Modal opened onClose={onClose} title={said.importManifest} size="xl">
      <Stack>
        <Text size="sm">{said.importAbout}</Text>
        <FileDrop
          label={said.dropManifest}
          accept=".jws,application/jose"
          file={file?.name}
          onFile={(dropped) => !doing.isPending && doing.mutate(dropped)}
        />
        {doing.isPending && (
          <Text component="output" size="sm">
            {said.importing(imported.length, lines)}
          </Text>
        )}
        <Failure
          error={doing.error}
          title={imported.length === 0 ? said.manifestRefused : said.manifestRefusedAt(imported.length + 1, lines)}
        />
        {imported.length > 0 && <Verdict imported={imported} stopped={doing.isError} />}
        <Group justify="flex-end">
          <Button variant={doing.isSuccess ? 'filled' : 'default'} onClick={onClose}>
            {texts.common.close}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

/** What came of the lines so far. */
function Verdict({ imported, stopped }: { imported: readonly Imported[]; stopped: boolean }) {
  const sum = (member: 'made' | 'withdrawn' | 'revoked' | 'beyond') =>
    imported.reduce((total, one) => total + one[member], 0);
  const [made, withdrawn, revoked, beyond] = [sum('made'), sum('withdrawn'), sum('revoked'), sum('beyond')];
  return (
    <>
      <Alert
        role="status"
        color={beyond > 0 ? 'red' : 'teal'}
        variant="outline"
        title={stopped ? said.importedSoFar : said.imported}
      >
        <Text size="sm">{said.verdict(made, withdrawn, revoked)}</Text>
        {beyond > 0 && <Text size="sm">{said.verdictBeyond(beyond)}</Text>}
      </Alert>
      <Rows
        label={said.verdicts}
        heads={[
          said.manifestLine,
          said.line,
          said.entries,
          said.heads.made,
          said.heads.withdrawn,
          said.heads.revoked,
          said.heads.beyond,
        ]}
      >
        {imported.map((one, at) => (
          <Table.Tr key={at}>
            <Table.Td>{texts.number(at + 1)}</Table.Td>
            <Table.Td>{one.site === null ? one.line_name : said.lineAt(one.line_name, one.site)}</Table.Td>
            <Table.Td>{one.first === null ? said.nothingNew(one.last) : said.entriesOf(one.first, one.last)}</Table.Td>
            <Table.Td>{texts.number(one.made)}</Table.Td>
            <Table.Td>{texts.number(one.withdrawn)}</Table.Td>
            <Table.Td>{texts.number(one.revoked)}</Table.Td>
            <Table.Td>{texts.number(one.beyond)}</Table.Td>
          </Table.Tr>
        ))}
      </Rows>
    </>
  );
}
