// The tokens of an account.

import { useMemo } from 'react';
import type { OfAccount } from '../../app.tsx';
import { tokenCalls } from './token-calls.ts';
import { Tokens } from './tokens.tsx';

export function AccountTokens({ account }: OfAccount) {
  const calls = useMemo(() => tokenCalls(account), [account]);
  return <Tokens calls={calls} />;
}
