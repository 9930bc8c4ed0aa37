// Who an account is.

import type { Schema } from '../../api/client.ts';
import { Copy } from '../../parts/copy.tsx';
import { Instant } from '../../parts/instant.tsx';
import { Section } from '../../parts/section.tsx';
import { texts } from '../../texts.ts';
import { Facts } from './facts.tsx';

const said = texts.settings;

export function Identity({ of }: { of: Schema<'Account'> }) {
  return (
    <Section title={said.identity}>
      <Facts
        of={{
          [said.name]: of.name,
          [said.id]: <Copy value={of.id} what={said.idWhat} />,
          [said.kind]: said.kinds[of.kind],
          [said.gateway]: <Copy value={of.gateway_url} what={said.gatewayWhat} />,
          [said.madeAt]: <Instant at={of.created_at} />,
        }}
      />
    </Section>
  );
}
