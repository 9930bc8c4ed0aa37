// The tokens of the server, and of all its accounts, for its administrators.

import { tokenCalls } from './token-calls.ts';
import { Tokens } from './tokens.tsx';

const calls = tokenCalls(null);

export function ServerTokens() {
  return <Tokens calls={calls} />;
}
