// The policies of an account: what is changed is shown first, then typed.

import { Button, Group, SimpleGrid, Select, Stack, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { answerOf, api, type Impact, type Schema } from '../../api/client.ts';
import type { operations } from '../../api/generated/openapi.d.ts';
import { useMay } from '../../api/session.tsx';
import { Destructive } from '../../parts/destructive.tsx';
import { Section } from '../../parts/section.tsx';
import { texts } from '../../texts.ts';
import { useAccountChanged } from './account-changed.ts';
import { Facts } from './facts.tsx';

type Account = Schema<'Account'>;
type Policy = operations['updateAccount']['requestBody']['content']['application/json'];
type Member = 'admission' | 'rekey' | 'key_type' | 'validity' | 'device_id_pattern' | 'namespace';

const said = texts.settings.policies;
const choices = {
  admission: ['automatic', 'approval', 'allow-list'],
  rekey: ['accept', 'approve'],
  key_type: ['p256', 'p384', 'rsa2048', 'rsa3072'],
} as const;
const isChosen = (member: Member): member is keyof typeof choices => member in choices;

/** How a policy that is set is said. */
const shownOf = (of: Account, member: Member): string =>
  (isChosen(member) ? (said.choices as Readonly<Record<string, string>>)[of[member] ?? ''] : null) ??
  of[member] ??
  said.any;

export function Policies({ account, of }: { account: string; of: Account }) {
  const may = useMay();
  // The server makes certificates for the devices of a test account alone.
  const members: readonly Member[] = (
    ['admission', 'rekey', 'key_type', 'validity', 'device_id_pattern', 'namespace'] as const
  ).filter((member) => of.kind === 'test' || (member !== 'key_type' && member !== 'validity'));
  return (
    <Section title={said.title} about={said.about}>
      {may('updateAccount', account) ? (
        <PolicyForm account={account} of={of} members={members} />
      ) : (
        <Facts
          of={Object.fromEntries(
            members.map((member) => [
              said.names[member],
              <span key={member} className={isChosen(member) ? '' : 'mono'}>
                {shownOf(of, member)}
              </span>,
            ]),
          )}
        />
      )}
    </Section>
  );
}

function PolicyForm({ account, of, members }: { account: string; of: Account; members: readonly Member[] }) {
  // Only what was touched: what others change meanwhile is shown.
  const [typed, setTyped] = useState<Partial<Record<Member, string>>>({});
  const [open, setOpen] = useState(false);
  const changed = useAccountChanged(account);
  const differing = members.filter((member) => typed[member] !== undefined && typed[member] !== (of[member] ?? ''));
  const set = (member: Member, value: string) => setTyped((before) => ({ ...before, [member]: value }));
  const policy = Object.fromEntries(
    differing.map((member) => [member, member === 'device_id_pattern' && typed[member] === '' ? null : typed[member]]),
  ) as Policy;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (differing.length > 0) setOpen(true);
      }}
    >
      <Stack>
        <SimpleGrid cols={{ base: 1, md: 2 }}>
          {members.map((member) => {
            const common = {
              label: said.names[member],
              description: said.abouts[member],
              value: typed[member] ?? of[member] ?? '',
            };
            return isChosen(member) ? (
              <Select
                key={member}
                {...common}
                data={choices[member].map((value) => ({ value, label: said.choices[value] }))}
                onChange={(value) => value !== null && set(member, value)}
                allowDeselect={false}
              />
            ) : (
              <TextInput
                key={member}
                {...common}
                onChange={({ currentTarget: { value } }) => set(member, value)}
                autoComplete="off"
                spellCheck={false}
              />
            );
          })}
        </SimpleGrid>
        <Group justify="space-between">
          <Text component="output" size="sm">
            {said.unsaved(differing.length)}
          </Text>
          <Group>
            {differing.length > 0 && (
              <Button variant="default" onClick={() => setTyped({})}>
                {said.discard}
              </Button>
            )}
            <Button type="submit" disabled={differing.length === 0}>
              {said.look}
            </Button>
          </Group>
        </Group>
      </Stack>
      {open && (
        <Change
          account={account}
          name={of.name}
          policy={policy}
          onDone={() => {
            setTyped({});
            changed();
          }}
          onClose={() => setOpen(false)}
        />
      )}
    </form>
  );
}

function Change({
  account,
  name,
  policy,
  onDone,
  onClose,
}: {
  account: string;
  name: string;
  policy: Policy;
  onDone: () => void;
  onClose: () => void;
}) {
  const call = (query: { dry_run: true } | { confirm: number }) =>
    answerOf(api.PATCH('/api/v1/accounts/{account}', { params: { path: { account }, query }, body: policy }));
  return (
    <Destructive
      title={said.change(name)}
      about={said.changeAbout(Object.keys(policy).map((member) => said.names[member as Member]))}
      typed={name}
      preview={() => call({ dry_run: true }) as Promise<Impact>}
      act={(confirm) => call({ confirm })}
      onDone={onDone}
      onClose={onClose}
    />
  );
}
