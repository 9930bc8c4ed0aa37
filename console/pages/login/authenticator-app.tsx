// The authenticator app: its secret is told once, and is in use when a code proves that the app has it.

import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api } from '../../api/client.ts';
import { CopyBlock } from '../../parts/copy.tsx';
import { Section } from '../../parts/section.tsx';
import { texts } from '../../texts.ts';
import { PasswordDialog } from './password-dialog.tsx';
import { ToldCodes } from './recovery-codes.tsx';
import { OwnFailure } from './sign-in-again.tsx';

/** `on` is whether there is one; undefined where the API does not tell. */
export function AuthenticatorApp({ on }: { on: boolean | undefined }) {
  const said = texts.login;
  const client = useQueryClient();
  const [asking, setAsking] = useState<'set up' | 'remove' | null>(null);
  const [uri, setUri] = useState<string | null>(null);
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  const changed = () => client.invalidateQueries({ queryKey: ['own', 'factors'] });
  return (
    <Section title={said.app} about={said.appAbout}>
      {on !== undefined && <Text>{on ? said.appOn : said.appOff}</Text>}
      <Group>
        <Button variant="default" onClick={() => setAsking('set up')}>
          {said.appSetUp}
        </Button>
        {on !== false && (
          <Button variant="default" onClick={() => setAsking('remove')}>
            {said.appRemove}
          </Button>
        )}
      </Group>
      {asking === 'set up' && (
        <PasswordDialog
          title={said.appSetUp}
          button={said.begin}
          act={async (password) => {
            setUri((await answerOf(api.POST('/api/v1/session/totp', { body: { password } }))).uri);
          }}
          onClose={() => setAsking(null)}
        />
      )}
      {asking === 'remove' && (
        <PasswordDialog
          title={said.appRemove}
          about={said.appRemoveAbout}
          color="red"
          act={async (password) => {
            await answerOf(api.DELETE('/api/v1/session/totp', { body: { password } }));
            await changed();
          }}
          onClose={() => setAsking(null)}
        />
      )}
      {uri !== null && (
        <FirstCode
          uri={uri}
          onDone={async (told) => {
            setUri(null);
            setCodes(told);
            await changed();
          }}
          onClose={() => setUri(null)}
        />
      )}
      <ToldCodes codes={codes} onClose={() => setCodes(null)} />
    </Section>
  );
}

interface FirstCodeProps {
  readonly uri: string;
  readonly onDone: (recoveryCodes: readonly string[] | null) => unknown;
  readonly onClose: () => void;
}

function FirstCode({ uri, onDone, onClose }: FirstCodeProps) {
  const said = texts.login;
  const [code, setCode] = useState('');
  const confirming = useMutation({
    mutationFn: () => answerOf(api.POST('/api/v1/session/totp/confirm', { body: { code: code.replaceAll(' ', '') } })),
    onSuccess: ({ recovery_codes: told }) => onDone(told),
  });
  return (
    <Modal opened onClose={onClose} title={said.appSetUp} size="lg" closeOnClickOutside={false}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          confirming.mutate();
        }}
      >
        <Stack>
          <Text>{said.appSecret}</Text>
          <CopyBlock value={new URL(uri).searchParams.get('secret') ?? ''} what={said.appSecret} />
          <Text size="sm">{said.appSecretAbout}</Text>
          <Text>{said.appUri}</Text>
          <CopyBlock value={uri} what={said.appUri} />
          <TextInput
            label={said.appCode}
            value={code}
            onChange={({ currentTarget: { value } }) => setCode(value)}
            required
            withAsterisk={false}
            inputMode="numeric"
            autoComplete="one-time-code"
            data-autofocus
          />
          <OwnFailure error={confirming.error} onSignedIn={confirming.reset} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {texts.common.cancel}
            </Button>
            <Button type="submit" loading={confirming.isPending}>
              {said.appConfirm}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
