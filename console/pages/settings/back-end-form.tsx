// A back end: where calls under a path go, and what is shown to whom on the way.

import { Button, Group, Modal, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api, type Schema } from '../../api/client.ts';
import { Failure } from '../../parts/failure.tsx';
import { TypedConfirmation } from '../../parts/typed-confirmation.tsx';
import { texts } from '../../texts.ts';

const lines = ['prefix', 'url', 'rewrite', 'host', 'timeout'] as const;
const pems = ['ca', 'certificate', 'key'] as const;
type Member = (typeof lines)[number] | (typeof pems)[number];

const said = texts.settings.backEnds;

/** `of` is the one that is changed; null for another than `all` that there are. A back end is set whole. */
export function BackEndForm({
  account,
  of,
  all,
  onDone,
  onClose,
}: {
  account: string;
  of: Schema<'Upstream'> | null;
  all: readonly Schema<'Upstream'>[];
  onDone: () => void;
  onClose: () => void;
}) {
  const [typed, setTyped] = useState<Readonly<Record<Member, string>>>({
    prefix: of?.prefix ?? '',
    url: of?.url ?? '',
    rewrite: of?.rewrite ?? '',
    host: of?.host ?? '',
    timeout: of?.timeout ?? '',
    ca: of?.ca ?? '',
    certificate: of?.certificate ?? '',
    // Nobody is told a key that is there.
    key: '',
  });
  const set = (member: Member) => (event: { currentTarget: { value: string } }) => {
    const { value } = event.currentTarget;
    setTyped((before) => ({ ...before, [member]: value }));
  };
  const [replacing, setReplacing] = useState(false);
  const there = all.find(({ prefix }) => prefix === typed.prefix.trim());
  const put = async (): Promise<void> => {
    const { prefix, url, ...others } = typed;
    const given = Object.fromEntries(Object.entries(others).filter(([, value]) => value.trim() !== ''));
    await answerOf(
      api.PUT('/api/v1/accounts/{account}/upstreams', {
        params: { path: { account } },
        body: { prefix: prefix.trim(), url: url.trim(), ...given },
      }),
    );
    onDone();
    onClose();
  };
  const setting = useMutation({ mutationFn: put });
  if (replacing && there !== undefined) {
    return (
      <TypedConfirmation
        title={said.changeOf(there.prefix)}
        about={said.replaces(there.url, typed.url.trim())}
        typed={there.prefix}
        act={put}
        onClose={() => setReplacing(false)}
      />
    );
  }
  return (
    <Modal opened onClose={onClose} title={of === null ? said.add : said.changeOf(of.prefix)} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (there === undefined) setting.mutate();
          else setReplacing(true);
        }}
      >
        <Stack>
          {lines.map((member) => (
            <TextInput
              key={member}
              label={said.names[member]}
              description={said.abouts[member]}
              value={typed[member]}
              onChange={set(member)}
              required={member === 'prefix' || member === 'url'}
              readOnly={member === 'prefix' && of !== null}
              autoComplete="off"
              spellCheck={false}
            />
          ))}
          {pems.map((member) => (
            <Textarea
              key={member}
              label={said.names[member]}
              description={said.abouts[member]}
              value={typed[member]}
              onChange={set(member)}
              autosize
              minRows={2}
              maxRows={8}
              autoComplete="off"
              spellCheck={false}
              classNames={{ input: 'mono' }}
            />
          ))}
          {of?.has_key && <Text size="sm">{said.keyAgain}</Text>}
          <Failure error={setting.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {texts.common.cancel}
            </Button>
            <Button type="submit" loading={setting.isPending}>
              {said.set}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
