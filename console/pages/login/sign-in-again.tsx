// A refusal about one's own login; where it asks for a session that has just begun, the way to one.

import { Button, Modal, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Refused } from '../../api/client.ts';
import { useSession } from '../../api/session.tsx';
import { Failure } from '../../parts/failure.tsx';
import { texts } from '../../texts.ts';
import { SignInForm } from './sign-in-form.tsx';

/** `onSignedIn` is called once there is a new session: what was refused can be sent again. */
export function OwnFailure({ error, onSignedIn }: { error: unknown; onSignedIn: () => void }) {
  const { session, refresh } = useSession();
  const [opened, { open, close }] = useDisclosure();
  const said = texts.login;
  return (
    <>
      <Failure error={error} />
      {error instanceof Refused && error.code === 'sign_in_again' && (
        <Button variant="default" onClick={open}>
          {said.signInAgain}
        </Button>
      )}
      <Modal opened={opened} onClose={close} title={said.signInAgain} zIndex={900}>
        <Stack>
          <Text>{said.signInAgainAbout}</Text>
          <SignInForm
            name={session?.name}
            stays
            onSignedIn={async () => {
              await refresh();
              close();
              onSignedIn();
            }}
          />
        </Stack>
      </Modal>
    </>
  );
}
