// Files that every credentials.zip of an account carries beside its own: set by dropping one, removed.

import { Button, Group, Modal, Stack, Table, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, fileBody, type Impact, type Schema } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { Destructive } from '../../parts/destructive.tsx';
import { Failure } from '../../parts/failure.tsx';
import { type DroppedFile, FileDrop } from '../../parts/file-drop.tsx';
import { Rows } from '../../parts/rows.tsx';
import { Section } from '../../parts/section.tsx';
import { TypedConfirmation } from '../../parts/typed-confirmation.tsx';
import { texts } from '../../texts.ts';
import { useAccountChanged } from './account-changed.ts';

const said = texts.settings.files;

export function Files({ account, of: { files } }: { account: string; of: Schema<'Account'> }) {
  const may = useMay();
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<string | null>(null);
  const mayRemove = may('removeFile', account);
  const changed = useAccountChanged(account);
  return (
    <Section
      title={said.title}
      about={said.about}
      actions={
        may('setFile', account) && (
          <Button variant="default" onClick={() => setAdding(true)}>
            {said.add}
          </Button>
        )
      }
    >
      {files.length === 0 ? (
        <Text>{said.none}</Text>
      ) : (
        <Rows label={said.title} heads={[said.entry, ...(mayRemove ? [said.change] : [])]}>
          {files.map((entry) => (
            <Table.Tr key={entry}>
              <Table.Td className="mono">{entry}</Table.Td>
              {mayRemove && (
                <Table.Td>
                  <Button
                    variant="outline"
                    color="red"
                    size="compact-sm"
                    onClick={() => setRemoving(entry)}
                    aria-label={said.removeOf(entry)}
                  >
                    {said.remove}
                  </Button>
                </Table.Td>
              )}
            </Table.Tr>
          ))}
        </Rows>
      )}
      {adding && <Setting account={account} files={files} onDone={changed} onClose={() => setAdding(false)} />}
      {removing !== null && (
        <Removal account={account} entry={removing} onDone={changed} onClose={() => setRemoving(null)} />
      )}
    </Section>
  );
}

function Setting({
  account,
  files,
  onDone,
  onClose,
}: {
  account: string;
  files: readonly string[];
  onDone: () => void;
  onClose: () => void;
}) {
  const [file, setFile] = useState<DroppedFile | null>(null);
  const [entry, setEntry] = useState('');
  const [replacing, setReplacing] = useState(false);
  const set = async (): Promise<void> => {
    if (file === null) throw new Error(said.noFile);
    if (entry === '') throw new Error(said.noEntry);
    await answerOf(
      api.PUT('/api/v1/accounts/{account}/files/{entry}', {
        params: { path: { account, entry } },
        ...fileBody(file.bytes),
      }),
    );
    onDone();
    onClose();
  };
  const setting = useMutation({ mutationFn: set });
  if (replacing) {
    return (
      <TypedConfirmation
        title={said.replaceOf(entry)}
        about={said.replaces(entry)}
        typed={entry}
        act={set}
        onClose={() => setReplacing(false)}
      />
    );
  }
  return (
    <Modal opened onClose={onClose} title={said.add} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (file !== null && files.includes(entry)) setReplacing(true);
          else setting.mutate();
        }}
      >
        <Stack>
          <FileDrop
            label={said.drop}
            file={file?.name}
            onFile={(dropped) => {
              setFile(dropped);
              setEntry(dropped.name);
            }}
          />
          <TextInput
            label={said.entry}
            description={said.entryAbout}
            value={entry}
            onChange={({ currentTarget: { value } }) => setEntry(value)}
            autoComplete="off"
            spellCheck={false}
          />
          <Failure error={setting.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {texts.common.cancel}
            </Button>
            <Button type="submit" loading={setting.isPending}>
              {said.set}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function Removal({
  account,
  entry,
  onDone,
  onClose,
}: {
  account: string;
  entry: string;
  onDone: () => void;
  onClose: () => void;
}) {
  const call = (query: { dry_run: true } | { confirm: number }) =>
    answerOf(api.DELETE('/api/v1/accounts/{account}/files/{entry}', { params: { path: { account, entry }, query } }));
  return (
    <Destructive
      title={said.removeOf(entry)}
      typed={entry}
      preview={() => call({ dry_run: true }) as Promise<Impact>}
      act={(confirm) => call({ confirm })}
      onDone={onDone}
      onClose={onClose}
    />
  );
}
