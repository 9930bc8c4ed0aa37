// The link of the first start: it makes the administrator, who then makes the first account and goes on to its first device.

import { Button, Center, Loader, Stack, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { answerOf, api } from '../../api/client.ts';
import { useSession } from '../../api/session.tsx';
import { Empty } from '../../parts/empty.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Page } from '../../parts/page.tsx';
import { texts } from '../../texts.ts';
import { AccountForm } from '../accounts/account-form.tsx';
import { useLinkSecret } from '../login/link-secret.ts';
import { Outside } from '../login/outside.tsx';
import { NewPassword, typedNothing } from '../login/password.tsx';
import { type Step, Steps } from './steps.tsx';

/** Whoever is signed in has done the first step, and may load the page again. */
export function FirstAdministrator() {
  const said = texts.firstStart;
  const secret = useLinkSecret();
  const { session, error } = useSession();
  const [, go] = useLocation();
  if (session === undefined) {
    return (
      <Outside wide>
        {error === null ? (
          <Center role="status" data-asking>
            <span className="visually-hidden">{texts.common.loading}</span>
            <Loader />
          </Center>
        ) : (
          <Failure error={error} title={texts.common.notRead} />
        )}
      </Outside>
    );
  }
  if (session !== null) {
    return (
      <StepPage key="account" now="account" about={said.accountAbout}>
        <AccountForm
          button={texts.accounts.createFirst}
          onMade={(name) => go(`/welcome/${name}`, { state: { firstStart: true } })}
        />
      </StepPage>
    );
  }
  if (secret !== null) {
    return (
      <StepPage key="administrator" now="administrator" about={said.about}>
        <AdministratorForm secret={secret} />
      </StepPage>
    );
  }
  return (
    <Outside wide>
      <Page title={said.title}>
        <Empty title={texts.login.noSecret} text={said.noSecretText}>
          <Button component={Link} href="/">
            {texts.login.toSignIn}
          </Button>
        </Empty>
      </Page>
    </Outside>
  );
}

function StepPage({ now, about, children }: { now: Step; about: string; children: ReactNode }) {
  const said = texts.firstStart;
  return (
    <Outside wide>
      <Page title={now === 'administrator' ? said.title : said.step[now]} about={about}>
        <Steps now={now} />
        {children}
      </Page>
    </Outside>
  );
}

function AdministratorForm({ secret }: { secret: string }) {
  const { refresh } = useSession();
  const [name, setName] = useState('');
  const [typed, setTyped] = useState(typedNothing);
  /** What the administrator is called, once there is one: the link does nothing more then. */
  const [made, setMade] = useState<string | null>(null);
  const making = useMutation({
    async mutationFn() {
      let called = made;
      if (called === null) {
        const body = { secret, name: name.trim(), password: typed.first };
        called = (await answerOf(api.POST('/api/v1/first-administrator', { body }))).name;
        setMade(called);
      }
      await answerOf(api.POST('/api/v1/session', { body: { name: called, password: typed.first } }));
      await refresh();
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        making.mutate();
      }}
    >
      <Stack>
        <TextInput
          label={texts.login.name}
          description={`${texts.firstStart.administratorAbout} ${texts.login.nameAbout}`}
          value={name}
          onChange={({ currentTarget: { value } }) => setName(value)}
          required
          withAsterisk={false}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
        />
        <NewPassword typed={typed} onTyped={setTyped} />
        <Failure error={making.error} title={made === null ? texts.common.notDone : texts.firstStart.madeNotSignedIn} />
        <Button type="submit" loading={making.isPending}>
          {made === null ? texts.firstStart.makeAdministrator : texts.login.signIn}
        </Button>
      </Stack>
    </form>
  );
}
