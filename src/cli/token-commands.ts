// `token …`: what programs log in with.

import type { MadeTokenJson, TokenJson } from '../operator/token-schemas.ts';
import { account } from './account-commands.ts';
import { at } from './client.ts';
import { command } from './command.ts';
import { UsageError } from './failure.ts';
import { type Page, pages, sentences, sheet, table } from './page.ts';
import { choice, instant, optional, repeated, required, text } from './parameters.ts';

const accountRoles = ['owner', 'operator', 'auditor', 'factory'] as const;
const serverRoles = ['administrator', 'metrics'] as const;

const isServerRole = (role: string): boolean => (serverRoles as readonly string[]).includes(role);

const tokenSheet = (token: TokenJson): Page =>
  sheet({
    ID: token.id,
    account: token.account_name ?? token.account,
    role: token.role,
    description: token.description,
    ends: token.not_after,
    'made by': token.made_by.name,
  });

const tokenTable = (tokens: readonly TokenJson[]): Page =>
  table(tokens, 'There are no tokens.', {
    id: (row) => row.id,
    account: (row) => row.account_name ?? row.account,
    role: (row) => row.role,
    description: (row) => row.description,
    state: (row) => row.state,
    ends: (row) => row.not_after,
    'last used': (row) => row.last_used_at,
    from: (row) => row.last_address,
    'made by': (row) => row.made_by.name,
  });

export const tokenCommands = [
  command({
    words: 'token create',
    about: 'Make a token for a program; it is shown once.',
    more: ['With ACCOUNT the role is one in that account; without, administrator, or metrics to read /metrics alone.'],
    usage: [
      'token create ACCOUNT --role owner|operator|auditor|factory --description TEXT',
      'token create --role administrator|metrics --description TEXT',
    ],
    arguments: { account: optional(account) },
    options: {
      role: required(choice([...accountRoles, ...serverRoles], 'what it may do (docs/roles.md)')),
      description: required(text('TEXT', 'what it is for; the audit log names it by this')),
      expires: instant('90d', 'when it ends: 90 days from now unless given, a year at the most'),
    },
    check: (given) => {
      if (isServerRole(given.role) !== (given.account === undefined))
        throw new UsageError(`--role ${given.role} ${isServerRole(given.role) ? 'is of no account' : 'needs ACCOUNT'}`);
    },
    call: ({ account: name, role, description, expires }, { api }) =>
      api.post<MadeTokenJson>(name === undefined ? '/tokens' : at`/accounts/${name}/tokens`, {
        role,
        description,
        ...(expires !== undefined && { not_after: expires }),
      }),
    print: (made) => ({
      ...pages(tokenSheet(made), sheet({ token: made.token })),
      note: 'The token is not shown again: put it where the program finds it, and nowhere else.',
    }),
  }),
  command({
    words: 'token list',
    about: 'List the tokens of an account, or of the whole server.',
    arguments: { account: optional(account) },
    call: (given, { api }) =>
      api.list<TokenJson>(given.account === undefined ? '/tokens' : at`/accounts/${given.account}/tokens`),
    print: tokenTable,
  }),
  command({
    words: 'token revoke',
    about: 'Revoke a token; whoever has it is let in no more, from now on.',
    usage: ['token revoke ACCOUNT ID', 'token revoke ID'],
    arguments: { words: repeated(text('ID', 'of the token, with the ACCOUNT that it is of before it')) },
    check: ({ words }) => {
      if (words.length > 2) throw new UsageError('give ID, or ACCOUNT and ID');
    },
    weighed: 'fleet',
    confirm: { question: ({ words }) => `Revoke the token ${words.at(-1)!} for good?`, erases: false },
    call: ({ words }, { api }) => {
      const id = words.at(-1)!;
      return api.delete<TokenJson>(words.length === 1 ? at`/tokens/${id}` : at`/accounts/${words[0]!}/tokens/${id}`);
    },
    print: ({ id, description }) => sentences(`The token ${id} (${description}) is revoked.`),
  }),
];
