// Which entries of the audit log are shown: the form, whose values live in the address.

import { Button, Group, Paper, SimpleGrid, Stack, TextInput, Title } from '@mantine/core';
import { useState } from 'react';
import { useSearchParams } from 'wouter';
import { fieldOf, instantOf, useZone, type Zone } from '../../parts/instant.tsx';
import { texts } from '../../texts.ts';
import { type Filter, type FilterName, filterNames } from './audit-calls.ts';

/** The filter in the address, and how to set it, which adds no step to the history. */
export function useFilter(): [Filter, (filter: Filter) => void] {
  const [params, setParams] = useSearchParams();
  const filter: Filter = {};
  for (const name of filterNames) {
    const value = params.get(name);
    if (value !== null && value !== '') filter[name] = value;
  }
  const setFilter = (next: Filter): void =>
    setParams(
      (before) => {
        const after = new URLSearchParams(before);
        for (const name of filterNames) {
          const value = next[name] ?? '';
          if (value === '') after.delete(name);
          else after.set(name, value);
        }
        return after;
      },
      { replace: true },
    );
  return [filter, setFilter];
}

/** The form begins with what the address says, in the reader's zone: give it a `key` of both. */
export function Filters({ filter, onFilter }: { filter: Filter; onFilter: (filter: Filter) => void }) {
  const [zone] = useZone();
  const [typed, setTyped] = useState<Filter>({ ...filter, ...timesIn(zone, filter) });
  const said = texts.audit;
  const field = (name: FilterName, label: string, about?: string) => (
    <TextInput
      label={label}
      description={about}
      inputWrapperOrder={['label', 'input', 'description', 'error']}
      {...(about === undefined && { type: 'datetime-local', step: 1 })}
      value={typed[name] ?? ''}
      onChange={({ currentTarget: { value } }) => setTyped({ ...typed, [name]: value })}
      autoComplete="off"
      spellCheck={false}
    />
  );
  return (
    <Paper withBorder p="md">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          onFilter(trimmed(zone, typed));
        }}
      >
        <Stack gap="sm">
          <Title order={2}>{said.filters}</Title>
          <SimpleGrid cols={{ base: 1, xs: 2, lg: 3 }}>
            {field('actor', said.actor, said.actorAbout)}
            {field('action', said.action, said.actionAbout)}
            {field('object', said.object, said.objectAbout)}
            {field('result', said.result, said.resultAbout)}
            {field('since', said.since)}
            {field('until', said.until)}
          </SimpleGrid>
          <Group>
            <Button type="submit">{said.filter}</Button>
            {Object.keys(filter).length > 0 && (
              <Button variant="default" onClick={() => onFilter({})}>
                {said.clear}
              </Button>
            )}
          </Group>
        </Stack>
      </form>
    </Paper>
  );
}

/** Without what is empty, instants as the API has them. */
function trimmed(zone: Zone, typed: Filter): Filter {
  const filter: Filter = {};
  for (const name of filterNames) {
    const value = typed[name]?.trim();
    if (value === undefined || value === '') continue;
    const isInstant = name === 'since' || name === 'until';
    filter[name] = isInstant ? (instantOf(value, zone) ?? value) : value;
  }
  return filter;
}

/** The instants of a filter as the browser's own field has them. */
function timesIn(zone: Zone, filter: Filter): Filter {
  const times: Filter = {};
  for (const name of ['since', 'until'] as const) {
    const field = fieldOf(filter[name], zone);
    if (field !== '') times[name] = field;
  }
  return times;
}
