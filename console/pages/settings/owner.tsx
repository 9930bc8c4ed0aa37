// The owner of an account, where it has one: whose signature counts beside the operators', and what is signed.

import { Text } from '@mantine/core';
import type { Schema } from '../../api/client.ts';
import { Section } from '../../parts/section.tsx';
import { texts } from '../../texts.ts';
import { OwnersSignature } from '../fleet-root-cas/owners-signature.tsx';

const said = texts.settings;

export function Owner({ of }: { of: Schema<'Account'> }) {
  if (of.owner_key !== null) return <OwnersSignature account={of} />;
  return (
    <Section title={texts.fleetRootCas.owner.title}>
      <Text>{said.noOwner}</Text>
    </Section>
  );
}
