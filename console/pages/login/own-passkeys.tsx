// One's own passkeys: what there is, another one, one less.

import { Button, Group, Modal, Stack, Table, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, type Schema } from '../../api/client.ts';
import { Asked } from '../../parts/asked.tsx';
import { Ago } from '../../parts/instant.tsx';
import { Rows } from '../../parts/rows.tsx';
import { Section } from '../../parts/section.tsx';
import { texts } from '../../texts.ts';
import { addPasskey, passkeysWork } from './passkey.ts';
import { PasswordDialog } from './password-dialog.tsx';
import { ToldCodes } from './recovery-codes.tsx';
import { OwnFailure } from './sign-in-again.tsx';

type Passkey = Schema<'Passkey'>;

export function OwnPasskeys() {
  const said = texts.login;
  const client = useQueryClient();
  const passkeys = useQuery({
    queryKey: ['own', 'passkeys'],
    queryFn: () => answerOf(api.GET('/api/v1/session/passkeys')),
  });
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Passkey | null>(null);
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  const changed = () => client.invalidateQueries({ queryKey: ['own', 'passkeys'] });
  return (
    <Section title={said.passkeys} about={said.passkeysAbout}>
      <Asked query={passkeys} lines={2}>
        {(list) =>
          list.length === 0 ? (
            <Text>{said.passkeysNone}</Text>
          ) : (
            <Rows label={said.passkeys} heads={[said.passkeyName, said.made, said.lastUsed, said.actions]}>
              {list.map((passkey) => (
                <Table.Tr key={passkey.id}>
                  <Table.Td>{passkey.name}</Table.Td>
                  <Table.Td miw="7rem">
                    <Ago at={passkey.created_at} />
                  </Table.Td>
                  <Table.Td miw="7rem">
                    <Ago at={passkey.last_used_at} />
                  </Table.Td>
                  <Table.Td>
                    <Button
                      variant="default"
                      size="compact-sm"
                      onClick={() => setRemoving(passkey)}
                      aria-label={said.passkeyRemove(passkey.name)}
                    >
                      {said.remove}
                    </Button>
                  </Table.Td>
                </Table.Tr>
              ))}
            </Rows>
          )
        }
      </Asked>
      {passkeysWork ? (
        <Group>
          <Button variant="default" onClick={() => setAdding(true)}>
            {said.passkeyAdd}
          </Button>
        </Group>
      ) : (
        <Text>{said.passkeyAbsent}</Text>
      )}
      {adding && (
        <Adding
          onAdded={async (told) => {
            setCodes(told);
            await changed();
          }}
          onClose={() => setAdding(false)}
        />
      )}
      {removing !== null && <Removing passkey={removing} onRemoved={changed} onClose={() => setRemoving(null)} />}
      <ToldCodes codes={codes} onClose={() => setCodes(null)} />
    </Section>
  );
}

function Adding({ onAdded, onClose }: { onAdded: (codes: readonly string[] | null) => unknown; onClose: () => void }) {
  const said = texts.login;
  const [name, setName] = useState('');
  return (
    <PasswordDialog
      title={said.passkeyAdd}
      act={async (password) => onAdded((await addPasskey(name.trim(), password)).recovery_codes)}
      onClose={onClose}
    >
      <TextInput
        label={said.passkeyName}
        description={said.passkeyNameAbout}
        value={name}
        onChange={({ currentTarget: { value } }) => setName(value)}
        required
        withAsterisk={false}
        maxLength={64}
        data-autofocus
      />
    </PasswordDialog>
  );
}

/** It is typed, not clicked: with it may go the only second factor. */
function Removing({
  passkey,
  onRemoved,
  onClose,
}: {
  passkey: Passkey;
  onRemoved: () => unknown;
  onClose: () => void;
}) {
  const said = texts.login;
  const [typed, setTyped] = useState('');
  const removing = useMutation({
    mutationFn: () =>
      answerOf(api.DELETE('/api/v1/session/passkeys/{passkey}', { params: { path: { passkey: passkey.id } } })),
    async onSuccess() {
      await onRemoved();
      onClose();
    },
  });
  return (
    <Modal opened onClose={onClose} title={said.passkeyRemove(passkey.name)}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (typed === passkey.name) removing.mutate();
        }}
      >
        <Stack>
          <Text>{said.passkeyRemoveAbout}</Text>
          <TextInput
            label={texts.destructive.type(passkey.name)}
            value={typed}
            onChange={({ currentTarget: { value } }) => setTyped(value)}
            autoComplete="off"
            spellCheck={false}
            data-autofocus
          />
          <OwnFailure error={removing.error} onSignedIn={removing.reset} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {texts.common.cancel}
            </Button>
            <Button type="submit" color="red" disabled={typed !== passkey.name} loading={removing.isPending}>
              {said.remove}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
