// The filters of refusals, as they stand in the address.

import { Button, Group, Select, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { useState } from 'react';
import { useSearchParams } from 'wouter';
import { useAddress } from '../../parts/address.ts';
import { fieldOf, instantOf, useZone } from '../../parts/instant.tsx';
import { texts } from '../../texts.ts';
import { type RefusalFilters, spans } from './refusal-list.ts';

const names = [
  'code',
  'device',
  'address',
  'within',
  'since',
  'until',
] as const satisfies readonly (keyof RefusalFilters)[];
/** In the address, `within` has this where two instants are given. */
const between = 'between';
/** How long somebody has stopped typing before it is looked for, in milliseconds. */
const pause = 300;

/** The filters, whether there are any, and how they all go. */
export function useRefusalFilters(): { filters: RefusalFilters; filtered: boolean; clear: () => void } {
  const [params, setParams] = useSearchParams();
  const filters = Object.fromEntries(names.map((name) => [name, params.get(name)])) as Record<
    keyof RefusalFilters,
    string | null
  >;
  const clear = (): void =>
    setParams((before) => new URLSearchParams([...before].filter(([name]) => !names.some((each) => each === name))), {
      replace: true,
    });
  return { filters, filtered: names.some((name) => filters[name] !== null), clear };
}

export function RefusalFilterBar() {
  const said = texts.refusals;
  const { filtered, clear } = useRefusalFilters();
  const [zone] = useZone();
  const [code, setCode] = useAddress('code');
  const [within, setWithin] = useAddress('within');
  const [since] = useAddress('since');
  const [until] = useAddress('until');
  const time = within ?? (since !== null || until !== null ? between : null);
  const codes: Readonly<Record<string, string>> = said.codes;
  return (
    <Group component="section" aria-label={said.filters} align="flex-end" gap="sm">
      <Select
        label={said.rule}
        placeholder={said.anyRule}
        data={[...new Set([...Object.keys(codes), ...(code === null ? [] : [code])])].map((value) => ({
          value,
          label: codes[value] ?? value,
        }))}
        value={code}
        onChange={setCode}
        searchable
        clearable
        clearButtonProps={{ 'aria-label': said.anyRule }}
      />
      <TypedFilter name="device" label={said.device} />
      <TypedFilter name="address" label={said.address} />
      <Select
        label={said.time}
        data={[
          { value: '', label: said.times.any },
          ...Object.keys(spans).map((value) => ({ value, label: said.times[value as 'hour'] })),
          { value: between, label: said.times.between },
        ]}
        value={time ?? ''}
        onChange={(value) => setWithin(value)}
        allowDeselect={false}
      />
      {time === between && (
        <>
          <TimeFilter key={`since ${zone}`} name="since" label={said.since} />
          <TimeFilter key={`until ${zone}`} name="until" label={said.until} />
        </>
      )}
      {filtered && (
        <Button variant="default" onClick={clear}>
          {said.clear}
        </Button>
      )}
    </Group>
  );
}

interface TypedProps {
  readonly name: keyof RefusalFilters;
  readonly label: string;
}

function TypedFilter({ name, ...props }: TypedProps) {
  return <Typed {...props} address={useAddress(name)} type="search" />;
}

/** The address has the instant, whoever reads it in whatever zone. */
function TimeFilter({ name, ...props }: TypedProps) {
  const [inAddress, setInAddress] = useAddress(name);
  const [zone] = useZone();
  return (
    <Typed
      {...props}
      type="datetime-local"
      address={[fieldOf(inAddress, zone) || null, (field) => setInAddress(instantOf(field, zone))]}
    />
  );
}

/** A filter that is typed: the address has it a moment later. */
function Typed({
  label,
  type,
  address: [inAddress, setInAddress],
}: {
  label: string;
  type: string;
  address: ReturnType<typeof useAddress>;
}) {
  const [known, setKnown] = useState(inAddress);
  const [typed, setTyped] = useState(inAddress ?? '');
  // The address was changed, by this or by something else, such as the way back.
  if (inAddress !== known) {
    setKnown(inAddress);
    setTyped(inAddress ?? '');
  }
  const settle = useDebouncedCallback((value: string) => setInAddress(value.trim()), pause);
  return (
    <TextInput
      label={label}
      type={type}
      value={typed}
      autoComplete="off"
      spellCheck={false}
      onChange={({ currentTarget: { value } }) => {
        setTyped(value);
        settle(value);
      }}
    />
  );
}
