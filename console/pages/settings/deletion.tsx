// The end of an account, for administrators.

import { Button } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useLocation } from 'wouter';
import { answerOf, api, type Impact, type Schema } from '../../api/client.ts';
import { Destructive } from '../../parts/destructive.tsx';
import { Section } from '../../parts/section.tsx';
import { texts } from '../../texts.ts';

const said = texts.settings.deletion;

export function Deletion({ account, of }: { account: string; of: Schema<'Account'> }) {
  const client = useQueryClient();
  const [, go] = useLocation();
  const [open, setOpen] = useState(false);
  const call = (query: { dry_run: true } | { confirm: number }) =>
    answerOf(api.DELETE('/api/v1/accounts/{account}', { params: { path: { account }, query } }));
  return (
    <Section title={said.title} about={said.about}>
      <div>
        <Button variant="outline" color="red" onClick={() => setOpen(true)}>
          {said.of(of.name)}
        </Button>
      </div>
      {open && (
        <Destructive
          title={said.of(of.name)}
          about={said.about}
          typed={of.name}
          preview={() => call({ dry_run: true }) as Promise<Impact>}
          act={(confirm) => call({ confirm })}
          onDone={() => {
            go('/accounts');
            void client.invalidateQueries({ queryKey: ['accounts'] });
          }}
          onClose={() => setOpen(false)}
        />
      )}
    </Section>
  );
}
