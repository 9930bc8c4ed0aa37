// Name, password, and what is due beside them; or a passkey; or the identity provider.

import { Button, Divider, Stack, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, askServer, Refused } from '../../api/client.ts';
import { Failure } from '../../parts/failure.tsx';
import { texts } from '../../texts.ts';
import { Password } from './password.tsx';
import { passkeysWork, signInByPasskey } from './passkey.ts';

const signOnPath = '/api/v1/session/sso';
/** Escape in a field closes no dialog that lies beneath (Mantine's own sign for it). */
const keepsEscape = { 'data-mantine-stop-propagation': 'true' } as const;

export interface SignInFormProps {
  /** Who has been here, where that is known. */
  readonly name?: string | undefined;
  /** Whether the page is to stay: then the identity provider is asked in another window. */
  readonly stays?: boolean;
  readonly onSignedIn: () => unknown;
}

/** What was typed stays when it is refused. */
export function SignInForm({ name: before = '', stays = false, onSignedIn }: SignInFormProps) {
  const said = texts.login;
  const [name, setName] = useState(before);
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  /** Those that are taken, once one is due. */
  const [factors, setFactors] = useState<readonly string[]>([]);
  const typing = useMutation({
    mutationFn: () =>
      answerOf(
        api.POST('/api/v1/session', {
          body: { name: name.trim(), password, ...(factors.length > 0 && { totp: code.replaceAll(' ', '') }) },
        }),
      ),
    onSuccess: onSignedIn,
    onError(error) {
      if (error instanceof Refused && error.code === 'second_factor_required') setFactors(error.factors);
    },
  });
  const showing = useMutation({ mutationFn: signInByPasskey, onSuccess: onSignedIn });
  const leaving = useMutation({ mutationFn: () => toProvider(stays) });
  const due = typing.error instanceof Refused && typing.error.code === 'second_factor_required';
  const codes = factors.filter((factor) => factor !== 'passkey');
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        // React has it bubble out of a dialog, to the form that opened the dialog.
        event.stopPropagation();
        typing.mutate();
      }}
    >
      <Stack>
        <TextInput
          label={said.name}
          value={name}
          onChange={({ currentTarget: { value } }) => {
            setName(value);
            setFactors([]);
          }}
          required
          withAsterisk={false}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          data-autofocus={before === '' || undefined}
          {...keepsEscape}
        />
        <Password value={password} onValue={setPassword} data-autofocus={before !== '' || undefined} {...keepsEscape} />
        {factors.length > 0 && (
          <div role="status">
            <Text size="sm">
              {said.codeAbout} {factors.includes('passkey') && said.codePasskey}
            </Text>
          </div>
        )}
        {codes.length > 0 && (
          <TextInput
            label={codes.length > 1 ? said.code.either : codes[0] === 'totp' ? said.code.totp : said.code.recovery}
            value={code}
            onChange={({ currentTarget: { value } }) => setCode(value)}
            required
            withAsterisk={false}
            // It appears as the answer to what was just sent.
            autoFocus
            autoComplete="one-time-code"
            spellCheck={false}
            {...keepsEscape}
          />
        )}
        <Failure error={due ? null : typing.error} />
        <Button type="submit" loading={typing.isPending} {...keepsEscape}>
          {said.signIn}
        </Button>
        <Divider />
        <Failure error={showing.error ?? leaving.error} />
        {passkeysWork && (
          <Button variant="default" onClick={() => showing.mutate()} loading={showing.isPending} {...keepsEscape}>
            {said.byPasskey}
          </Button>
        )}
        <Button variant="default" onClick={() => leaving.mutate()} loading={leaving.isPending} {...keepsEscape}>
          {said.bySso}
        </Button>
      </Stack>
    </form>
  );
}

/** Goes to the identity provider. Rejects with what the API says where there is none, or it is away. */
async function toProvider(stays: boolean): Promise<void> {
  const answer = await fetch(signOnPath, { redirect: 'manual' });
  // Nothing is told of a redirect but that it is one; else it is a problem, read as any other.
  if (answer.type !== 'opaqueredirect') await askServer(signOnPath);
  else if (stays) window.open(signOnPath, '_blank', 'noopener');
  else location.assign(signOnPath);
}
