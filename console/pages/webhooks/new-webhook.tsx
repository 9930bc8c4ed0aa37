// A new webhook: where to, which events, whose certificate.

import { Button, Checkbox, Group, Modal, Radio, Stack, Textarea, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import type { Schema } from '../../api/client.ts';
import { Failure } from '../../parts/failure.tsx';
import { texts } from '../../texts.ts';
import { type EventType, typeGroups } from './event-types.ts';
import type { WebhookCalls } from './webhook-calls.ts';

export interface NewWebhookProps {
  readonly calls: WebhookCalls;
  readonly onMade: (webhook: Schema<'MadeWebhook'>) => void;
  readonly onClose: () => void;
}

/** The dialog. What was typed stays when the call is refused. */
export function NewWebhook({ calls, onMade, onClose }: NewWebhookProps) {
  const [url, setUrl] = useState('');
  const [description, setDescription] = useState('');
  const [which, setWhich] = useState('all');
  const [types, setTypes] = useState<EventType[]>([]);
  const [ca, setCa] = useState('');
  const said = texts.webhooks;
  const making = useMutation({
    mutationFn: async () => {
      if (which === 'some' && types.length === 0) throw new Error(said.typesNone);
      return calls.make({
        url: url.trim(),
        description: description.trim() === '' ? null : description.trim(),
        types: which === 'all' ? null : types,
        ca: ca.trim() === '' ? null : ca,
      });
    },
    onSuccess: onMade,
  });
  return (
    <Modal opened onClose={onClose} title={said.create} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          making.mutate();
        }}
      >
        <Stack>
          <TextInput
            label={said.url}
            description={said.urlAbout}
            type="url"
            placeholder="https://hooks.example.com/fleetroot"
            value={url}
            onChange={({ currentTarget: { value } }) => setUrl(value)}
            required
            maxLength={2048}
            autoComplete="off"
            spellCheck={false}
            data-autofocus
          />
          <TextInput
            label={said.description}
            value={description}
            onChange={({ currentTarget: { value } }) => setDescription(value)}
            maxLength={200}
            autoComplete="off"
          />
          <Radio.Group label={said.types} value={which} onChange={setWhich}>
            <Stack gap="xs" mt={4}>
              <Radio value="all" label={said.typesAll} />
              <Radio value="some" label={said.typesSome} />
            </Stack>
          </Radio.Group>
          {which === 'some' &&
            typeGroups(calls.account).map(({ name, types: offered }) => (
              <Checkbox.Group key={name} label={name} value={types} onChange={(chosen) => setTypes(chosen)} pl="md">
                <Stack gap="xs" mt={4}>
                  {offered.map((type) => (
                    <Checkbox
                      key={type}
                      value={type}
                      label={<span className="mono">{type}</span>}
                      description={said.eventAbout[type]}
                    />
                  ))}
                </Stack>
              </Checkbox.Group>
            ))}
          <Textarea
            label={said.ca}
            description={said.caAbout}
            value={ca}
            onChange={({ currentTarget: { value } }) => setCa(value)}
            autosize
            minRows={2}
            maxRows={8}
            spellCheck={false}
            styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
          />
          <Failure error={making.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {texts.common.cancel}
            </Button>
            <Button type="submit" loading={making.isPending}>
              {said.createDo}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
