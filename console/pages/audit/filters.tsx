// Which entries of the audit log are shown: the form, whose values live in the address.

import { Button, Group, Paper, SimpleGrid, Stack, TextInput, Title } from '@mantine/core';
import { useState } from 'react';
import { useSearchParams } from 'wouter';
import { texts } from '../../texts.ts';
import { type Filter, type FilterName, filterNames } from './audit-calls.ts';

/** The filter in the address, and how to set it. */
export function useFilter(): [Filter, (filter: Filter) => void] {
  const [params, setParams] = useSearchParams();
  const filter: Filter = {};
  for (const name of filterNames) {
    const value = params.get(name);
    if (value !== null && value !== '') filter[name] = value;
  }
  return [filter, (next) => setParams(new URLSearchParams(Object.entries(next).filter(([, value]) => value !== '')))];
}

/** The form begins with what the address says: give it a `key` of that. */
export function Filters({ filter, onFilter }: { filter: Filter; onFilter: (filter: Filter) => void }) {
  const [typed, setTyped] = useState<Filter>({ ...filter, ...localTimes(filter) });
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
          onFilter(trimmed(typed));
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
function trimmed(typed: Filter): Filter {
  const filter: Filter = {};
  for (const name of filterNames) {
    const value = typed[name]?.trim();
    if (value === undefined || value === '') continue;
    filter[name] = name === 'since' || name === 'until' ? new Date(value).toISOString() : value;
  }
  return filter;
}

/** The instants of a filter as the browser's own field has them: in the reader's zone. */
function localTimes(filter: Filter): Filter {
  const local: Filter = {};
  for (const name of ['since', 'until'] as const) {
    const at = new Date(filter[name] ?? Number.NaN);
    if (Number.isNaN(at.getTime())) continue;
    local[name] = new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
  }
  return local;
}
