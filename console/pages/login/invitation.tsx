// An invitation's link: whoever was handed it makes their password, and is signed in.

import { Button, Stack } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useLocation } from 'wouter';
import { answerOf, api } from '../../api/client.ts';
import { useSession } from '../../api/session.tsx';
import { Empty } from '../../parts/empty.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Page } from '../../parts/page.tsx';
import { texts } from '../../texts.ts';
import { useLinkSecret } from './link-secret.ts';
import { Outside } from './outside.tsx';
import { NewPassword, typedNothing } from './password.tsx';

export function Invitation() {
  const said = texts.login;
  const secret = useLinkSecret();
  return (
    <Outside>
      <Page title={said.invitation} about={said.invitationAbout}>
        {secret === null ? (
          <Empty title={said.noSecret} text={said.noSecretText}>
            <Button component={Link} href="/">
              {said.toSignIn}
            </Button>
          </Empty>
        ) : (
          <Accept secret={secret} />
        )}
      </Page>
    </Outside>
  );
}

function Accept({ secret }: { secret: string }) {
  const { refresh } = useSession();
  const [, go] = useLocation();
  const [typed, setTyped] = useState(typedNothing);
  const accepting = useMutation({
    mutationFn: async () => {
      const { name } = await answerOf(api.POST('/api/v1/invitation', { body: { secret, password: typed.first } }));
      // The link has done its work, whatever comes of this: the way in is then the sign-in.
      await answerOf(api.POST('/api/v1/session', { body: { name, password: typed.first } })).catch(() => undefined);
      await refresh();
      go('/', { replace: true });
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        accepting.mutate();
      }}
    >
      <Stack>
        <NewPassword typed={typed} onTyped={setTyped} />
        <Failure error={accepting.error} />
        <Button type="submit" loading={accepting.isPending}>
          {texts.login.accept}
        </Button>
      </Stack>
    </form>
  );
}
