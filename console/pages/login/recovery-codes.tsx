// Recovery codes: each stands in for the second factor, once.

import { Button, Group, Text } from '@mantine/core';
import { useState } from 'react';
import { answerOf, api } from '../../api/client.ts';
import { ToldOnce } from '../../parts/told-once.tsx';
import { Section } from '../../parts/section.tsx';
import { texts } from '../../texts.ts';
import { PasswordDialog } from './password-dialog.tsx';

/** Tells codes that were just made, until the reader has them; nothing where there are none. */
export function ToldCodes({ codes, onClose }: { codes: readonly string[] | null; onClose: () => void }) {
  const said = texts.login;
  if (codes === null) return null;
  return (
    <ToldOnce title={said.recoveryTitle} what={said.recoveryWhat} secret={codes.join('\n')} onClose={onClose}>
      <Text size="sm">{said.recoveryKeep}</Text>
    </ToldOnce>
  );
}

export function RecoveryCodes() {
  const said = texts.login;
  const [asking, setAsking] = useState(false);
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  return (
    <Section title={said.recovery} about={said.recoveryAbout}>
      <Group>
        <Button variant="default" onClick={() => setAsking(true)}>
          {said.recoveryRenew}
        </Button>
      </Group>
      {asking && (
        <PasswordDialog
          title={said.recoveryRenew}
          act={async (password) => {
            const made = await answerOf(api.POST('/api/v1/session/recovery-codes', { body: { password } }));
            setCodes(made.recovery_codes);
          }}
          onClose={() => setAsking(false)}
        />
      )}
      <ToldCodes codes={codes} onClose={() => setCodes(null)} />
    </Section>
  );
}
