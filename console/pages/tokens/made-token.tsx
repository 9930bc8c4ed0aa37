// A token that was made: told once, with a command that uses it.

import { Text } from '@mantine/core';
import type { Schema } from '../../api/client.ts';
import { CopyBlock } from '../../parts/copy.tsx';
import { ToldOnce } from '../../parts/told-once.tsx';
import { texts } from '../../texts.ts';

export function MadeToken({ made, onClose }: { made: Schema<'MadeToken'>; onClose: () => void }) {
  const said = texts.tokens;
  const secure = location.protocol === 'https:';
  return (
    <ToldOnce title={said.made(made.description)} what={said.what} secret={made.token} onClose={onClose}>
      <Text size="sm">{said.tryIt}</Text>
      <CopyBlock
        what={said.tryWhat}
        value={`curl ${secure ? '--cacert operator-ca.crt ' : ''}-H "Authorization: Bearer $FLEETROOT_TOKEN" \\\n  ${location.origin}${readableBy(made)}`}
      />
      {secure && <Text size="sm">{said.tryCa}</Text>}
    </ToldOnce>
  );
}

/** Something that a token of this role may read. */
function readableBy({ role, account_name }: Schema<'MadeToken'>): string {
  if (role === 'metrics') return '/metrics';
  if (role === 'administrator' || account_name === null) return '/api/v1/accounts';
  const account = `/api/v1/accounts/${encodeURIComponent(account_name)}`;
  return role === 'factory' ? `${account}/allow-list/counts` : `${account}/device-counts`;
}
