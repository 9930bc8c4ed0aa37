// A destructive act: first what it would break, as the API's dry run has it; then it is typed, not clicked.

import { Alert, Button, Group, List, Modal, Stack, Table, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import type { Impact } from '../api/client.ts';
import { texts } from '../texts.ts';
import { Asked } from './asked.tsx';
import { Failure } from './failure.tsx';

export interface DestructiveProps {
  /** What is done, as the button says it: "Revoke device-1". */
  readonly title: string;
  /** What follows of it, in a sentence or two, where the dry run cannot know. */
  readonly about?: ReactNode;
  /** What has to be typed: a device ID, a name, or what the dry run has found, such as the number of devices. */
  readonly typed: string | ((impact: Impact) => string);
  /** The dry run of the call (`?dry_run=true`). */
  readonly preview: () => Promise<Impact>;
  /** The call, with `?confirm=` of the dry run. */
  readonly act: (confirm: number) => Promise<unknown>;
  /** After it was done. */
  readonly onDone?: () => void;
  readonly onClose: () => void;
}

/** The dialog, open while it is shown. What was typed stays when the call is refused. */
export function Destructive({ title, about, typed: wanted, preview, act, onDone, onClose }: DestructiveProps) {
  const [text, setText] = useState('');
  const impact = useQuery({ queryKey: ['dry-run', title], queryFn: preview, gcTime: 0, staleTime: 0, retry: false });
  const typed = typeof wanted === 'string' ? wanted : impact.data ? wanted(impact.data) : '…';
  const doing = useMutation({
    mutationFn: act,
    onSuccess() {
      onDone?.();
      onClose();
    },
  });
  return (
    <Modal opened onClose={onClose} title={title} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (text === typed && impact.data) doing.mutate(impact.data.confirm);
        }}
      >
        <Stack>
          {about !== undefined && <Text>{about}</Text>}
          <Asked query={impact}>{(data) => <ImpactSaid impact={data} />}</Asked>
          <TextInput
            label={texts.destructive.type(typed)}
            value={text}
            onChange={({ currentTarget: { value } }) => setText(value)}
            autoComplete="off"
            spellCheck={false}
            data-autofocus
          />
          <Failure error={doing.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {texts.common.cancel}
            </Button>
            <Button type="submit" color="red" disabled={text !== typed || !impact.data} loading={doing.isPending}>
              {title}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

/** What a dry run says. */
export function ImpactSaid({ impact }: { impact: Impact }) {
  const { devices, seen_last_day, refused, by_rule, newcomers, unknown, sample, other } = impact;
  const said = texts.destructive;
  return (
    <Stack gap="sm">
      <Alert color={refused > 0 ? 'red' : 'gray'} variant="outline" title={said.touches(devices, seen_last_day)}>
        {said.refused(refused)}
      </Alert>
      {by_rule.length > 0 && (
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{said.rule}</Table.Th>
              <Table.Th ta="right">{said.devices}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {by_rule.map(({ code, rule, devices: count }) => (
              <Table.Tr key={`${code} ${rule}`}>
                <Table.Td>
                  {rule} <span className="mono">{code}</span>
                </Table.Td>
                <Table.Td ta="right">{texts.number(count)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      {newcomers !== null && <Text size="sm">{newcomers}</Text>}
      {unknown !== null && <Text size="sm">{unknown}</Text>}
      {sample.length > 0 && (
        <Text size="sm">
          {said.among} <span className="mono">{sample.join(', ')}</span>
        </Text>
      )}
      {other.length > 0 && (
        <List size="sm">
          {other.map(({ what, count, sample: some }) => (
            <List.Item key={what}>
              {texts.number(count)} {what.replaceAll('_', ' ')}
              {some.length > 0 && (
                <>
                  {': '}
                  <span className="mono">{some.join(', ')}</span>
                </>
              )}
            </List.Item>
          ))}
        </List>
      )}
    </Stack>
  );
}
