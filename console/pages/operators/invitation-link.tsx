// An invitation, told once: the link that makes somebody's password.

import { Text } from '@mantine/core';
import type { Schema } from '../../api/client.ts';
import { Instant } from '../../parts/instant.tsx';
import { ToldOnce } from '../../parts/told-once.tsx';
import { texts } from '../../texts.ts';

/** Somebody who was invited. */
export interface Invited {
  readonly name: string;
  readonly invitation: Schema<'Invitation'>;
}

export function InvitationLink({ invited: { name, invitation }, onClose }: { invited: Invited; onClose: () => void }) {
  const said = texts.operators;
  return (
    <ToldOnce title={said.invited(name)} what={said.link} secret={invitation.url} onClose={onClose}>
      <Text size="sm">
        {said.invitedAbout} <Instant at={invitation.expires_at} />.
      </Text>
    </ToldOnce>
  );
}
