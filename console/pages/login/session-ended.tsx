// The session has ended in the middle of work: one signs in above the page, which stays as it is.

import { Button, Divider, Modal, Stack, Text } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { answerOf, api } from '../../api/client.ts';
import { useSession } from '../../api/session.tsx';
import { Failure } from '../../parts/failure.tsx';
import { texts } from '../../texts.ts';
import { SignInForm } from './sign-in-form.tsx';

/** Escape here closes no dialog that lies beneath. */
const keepsEscape = { 'data-mantine-stop-propagation': 'true' } as const;

/** Neither Escape nor a click beside it closes it: nothing works until somebody is signed in. */
export function SessionEnded() {
  const { session, refresh, signedOut } = useSession();
  const said = texts.login;
  const looking = useMutation({ mutationFn: () => answerOf(api.GET('/api/v1/session')), onSuccess: refresh });
  return (
    <Modal
      opened
      onClose={() => {}}
      title={texts.shell.ended}
      withCloseButton={false}
      closeOnEscape={false}
      closeOnClickOutside={false}
      // Above whatever dialog the page has open, and nothing of the page shows through: it may be a secret.
      zIndex={1_000}
      overlayProps={{ backgroundOpacity: 1, color: 'var(--mantine-color-body)' }}
    >
      <Stack>
        <Text>{texts.shell.endedText}</Text>
        <SignInForm name={session?.name} stays onSignedIn={refresh} />
        <Button variant="default" onClick={() => looking.mutate()} loading={looking.isPending} {...keepsEscape}>
          {said.elsewhere}
        </Button>
        <Failure error={looking.error} />
        <Divider />
        <Text size="sm">{said.leaveAbout}</Text>
        <Button variant="subtle" color="gray" onClick={signedOut} {...keepsEscape}>
          {said.leave}
        </Button>
      </Stack>
    </Modal>
  );
}
