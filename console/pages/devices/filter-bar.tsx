// The search and the filters above the list of devices.

import {
  ActionIcon,
  Button,
  Checkbox,
  Collapse,
  Group,
  NativeSelect,
  Paper,
  SimpleGrid,
  Stack,
  TagsInput,
  TextInput,
} from '@mantine/core';
import { useDebouncedCallback, useDisclosure } from '@mantine/hooks';
import { IconAdjustmentsHorizontal, IconSearch, IconX } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf, api } from '../../api/client.ts';
import { useFleetRootCas } from '../../api/queries.ts';
import { useMay } from '../../api/session.tsx';
import { useZone } from '../../parts/instant.tsx';
import { texts } from '../../texts.ts';
import { beginningOf, dayOf, type FilterName, type Filtering } from './filter.ts';

const said = texts.devices;

export function FilterBar({ account, filtering }: { account: string; filtering: Filtering }) {
  const { filter, size, setList, clear } = filtering;
  // Whoever comes with a filter in the address sees what it is.
  const [opened, { toggle }] = useDisclosure(size > ((filter.text ?? filter.prefix) ? 1 : 0) + (filter.state ? 1 : 0));
  return (
    <Paper withBorder p="md" component="search" aria-label={said.filters}>
      <Stack gap="md">
        <Group align="flex-end">
          <Search filtering={filtering} />
          <Button
            variant="default"
            onClick={toggle}
            aria-expanded={opened}
            leftSection={<IconAdjustmentsHorizontal size={16} aria-hidden />}
          >
            {said.moreFilters}
          </Button>
          {size > 0 && (
            <Button variant="subtle" onClick={clear}>
              {said.clear}
            </Button>
          )}
        </Group>
        <Checkbox.Group label={said.state} value={filter.state ?? []} onChange={(states) => setList('state', states)}>
          <Group mt={6}>
            {(['active', 'pending', 'suspended', 'revoked'] as const).map((state) => (
              <Checkbox key={state} value={state} label={texts.states[state]} />
            ))}
          </Group>
        </Checkbox.Group>
        <Collapse expanded={opened}>{opened && <MoreFilters account={account} filtering={filtering} />}</Collapse>
      </Stack>
    </Paper>
  );
}

/** Searches while one types. */
function Search({ filtering: { filter, setSearch } }: { filtering: Filtering }) {
  const how = filter.prefix === undefined ? 'text' : 'prefix';
  const inAddress = filter.prefix ?? filter.text ?? '';
  const [typed, setTyped] = useState(inAddress);
  const [before, setBefore] = useState(inAddress);
  const [kind, setKind] = useState<'text' | 'prefix'>(how);
  const [written, setWritten] = useState(inAddress);
  const write = useDebouncedCallback((as: 'text' | 'prefix', value: string) => {
    setWritten(value);
    setSearch(as, value);
  }, 150);
  // What comes from elsewhere, such as the way back, is not what was typed.
  if (inAddress !== written && inAddress !== before) {
    setWritten(inAddress);
    setTyped(inAddress);
    if (inAddress !== '') setKind(how);
  }
  if (inAddress !== before) setBefore(inAddress);
  const type = (as: 'text' | 'prefix', value: string): void => {
    setKind(as);
    setTyped(value);
    write(as, value.trim());
  };
  return (
    <Group gap="xs" align="flex-end" flex="1 1 18rem" maw={640}>
      <NativeSelect
        label={said.searchHow}
        value={kind}
        onChange={({ currentTarget: { value } }) => type(value as 'text' | 'prefix', typed)}
        data={[
          { value: 'text', label: said.searchText },
          { value: 'prefix', label: said.searchPrefix },
        ]}
      />
      <TextInput
        flex="1 1 12rem"
        label={said.search}
        value={typed}
        maxLength={64}
        onChange={({ currentTarget: { value } }) => type(kind, value)}
        leftSection={<IconSearch size={16} aria-hidden />}
        rightSection={
          typed !== '' && (
            <ActionIcon variant="subtle" color="gray" onClick={() => type(kind, '')} aria-label={said.searchClear}>
              <IconX size={16} aria-hidden />
            </ActionIcon>
          )
        }
        autoComplete="off"
        spellCheck={false}
      />
    </Group>
  );
}

function MoreFilters({ account, filtering }: { account: string; filtering: Filtering }) {
  const { filter, set, setList } = filtering;
  const may = useMay();
  const roots = useFleetRootCas(account);
  const keys = useQuery({
    queryKey: [account, 'provisioning-keys', 'names'],
    enabled: may('listProvisioningKeys', account),
    queryFn: async () =>
      (
        await answerOf(
          api.GET('/api/v1/accounts/{account}/provisioning-keys', {
            params: { path: { account }, query: { limit: 1_000, devices: 0 } },
          }),
        )
      ).map(({ id, description }) => ({ value: id, label: description ? `${description} (${id.slice(0, 8)})` : id })),
  });
  return (
    <Stack gap="md">
      <SimpleGrid cols={{ base: 1, xs: 2, lg: 4 }}>
        <Choice
          name="method"
          label={said.method}
          filtering={filtering}
          data={[
            { value: 'shared', label: said.methods.shared },
            { value: 'device', label: said.methods.device },
          ]}
        />
        <Choice
          name="never_seen"
          label={said.seen}
          filtering={filtering}
          data={[
            { value: 'true', label: said.seenNever },
            { value: 'false', label: said.seenEver },
          ]}
        />
        <Choice
          name="fleet_root_ca"
          label={said.fleetRootCa}
          filtering={filtering}
          data={roots.data?.map(({ id, name }) => ({ value: id, label: name })) ?? []}
        />
        <Choice name="provisioning_key" label={said.provisioningKey} filtering={filtering} data={keys.data ?? []} />
      </SimpleGrid>
      <TagsInput
        label={said.labels}
        description={said.labelsAbout}
        value={filter.label ?? []}
        onChange={(labels) => setList('label', labels)}
        maxTags={16}
        clearable={false}
        acceptValueOnBlur
      />
      <SimpleGrid cols={{ base: 1, sm: 3 }}>
        <Span
          label={said.certificateEnds}
          from="certificate_expires_after"
          to="certificate_expires_before"
          filtering={filtering}
        />
        <Span label={said.lastSeen} from="last_seen_after" to="last_seen_before" filtering={filtering} />
        <Span label={said.firstSeen} from="first_seen_after" to="first_seen_before" filtering={filtering} />
      </SimpleGrid>
      {filter.intermediate !== undefined && (
        <TextInput
          label={said.intermediate}
          value={filter.intermediate}
          onChange={({ currentTarget: { value } }) => set('intermediate', value)}
        />
      )}
    </Stack>
  );
}

/** One of several values, or any. A value of the address that is none of them is kept. */
function Choice({
  name,
  label,
  data,
  filtering: { filter, set },
}: {
  name: FilterName;
  label: string;
  data: readonly { value: string; label: string }[];
  filtering: Filtering;
}) {
  const value = filter[name] === undefined ? '' : String(filter[name]);
  const known = value === '' || data.some((each) => each.value === value);
  return (
    <NativeSelect
      label={label}
      value={value}
      onChange={({ currentTarget }) => set(name, currentTarget.value)}
      data={[{ value: '', label: said.any }, ...data, ...(known ? [] : [{ value, label: value }])]}
    />
  );
}

/** From one day to before another, as days are where the reader reads times. */
function Span({
  label,
  from,
  to,
  filtering: { filter, set },
}: {
  label: string;
  from: FilterName;
  to: FilterName;
  filtering: Filtering;
}) {
  const [zone] = useZone();
  const input = (name: FilterName, text: string) => (
    <TextInput
      type="date"
      label={text}
      value={dayOf(filter[name] as string | undefined, zone)}
      onChange={({ currentTarget: { value } }) => set(name, beginningOf(value, zone))}
    />
  );
  return (
    <Group grow gap="xs" wrap="wrap" align="flex-end">
      {input(from, said.from(label))}
      {input(to, said.before(label))}
    </Group>
  );
}
