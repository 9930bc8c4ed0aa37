// `operator …`: who may sign in to the operators' API.

import type { EndedJson, InvitationJson, InvitedOperatorJson, OperatorJson } from '../operator/login-schemas.ts';
import { at } from './client.ts';
import { command } from './command.ts';
import { newPassword } from './passphrase.ts';
import { noted, type Page, sentences, sheet, table } from './page.ts';
import { flag, text } from './parameters.ts';

const operator = text('OPERATOR', 'a name to sign in by, or an ID');

const factorsOf = ({ totp, passkeys }: OperatorJson): string =>
  [...(totp ? ['authenticator app'] : []), ...(passkeys > 0 ? [`${passkeys} passkey(s)`] : [])].join(', ');

const operatorPage = (row: OperatorJson): Page =>
  sheet({
    name: row.name,
    ID: row.id,
    administrator: row.administrator,
    roles: row.roles.map(({ account_name, role }) => `${role} of ${account_name}`),
    disabled: row.disabled,
    password: row.has_password,
    'second factors': factorsOf(row),
    'invited until': row.invited_until,
    created: row.created_at,
    'last sign-in': row.last_sign_in_at,
  });

/** The page with what is to be done with an invitation beside it, where there is one. */
export const invited = (page: Page, name: string, invitation: InvitationJson | null): Page =>
  invitation === null
    ? page
    : noted(
        page,
        `Give ${name} this link, by a way that nobody else reads. It makes the password, once, until ` +
          `${invitation.expires_at}:\n  ${invitation.url}`,
      );

const invitedPage = (row: InvitedOperatorJson): Page => invited(operatorPage(row), row.name, row.invitation);

export const operatorCommands = [
  command({
    words: 'operator create',
    about: 'Make an operator, who may then sign in.',
    more: ['The password is asked for, twice; with --invite the operator chooses it by a link instead.'],
    arguments: { name: text('NAME', 'to sign in by: an e-mail address, or a word') },
    options: {
      administrator: flag('who may do everything on this server'),
      invite: flag('print a link by which the operator makes the password'),
    },
    call: async ({ name, administrator, invite }, { api, terminal }) => {
      const made = { name, administrator };
      if (invite) return api.post<InvitedOperatorJson>('/operators', made);
      using password = await newPassword(terminal, name);
      return await api.post<InvitedOperatorJson>('/operators', {
        ...made,
        password: password.reveal().toString('utf8'),
      });
    },
    print: invitedPage,
  }),
  command({
    words: 'operator list',
    about: 'List the operators.',
    call: (_, { api }) => api.list<OperatorJson>('/operators'),
    print: (rows) =>
      table(rows, 'There are no operators: `operator create NAME --administrator` makes the first.', {
        name: (row) => row.name,
        administrator: (row) => row.administrator,
        roles: (row) => row.roles.map(({ account_name, role }) => `${role} of ${account_name}`).join(', '),
        disabled: (row) => row.disabled,
        'second factors': factorsOf,
        'last sign-in': (row) => row.last_sign_in_at,
      }),
  }),
  command({
    words: 'operator show',
    about: 'Show an operator.',
    arguments: { operator },
    call: (given, { api }) => api.get<OperatorJson>(at`/operators/${given.operator}`),
    print: operatorPage,
  }),
  command({
    words: 'operator disable',
    about: 'Let an operator sign in no more; their sessions end at once.',
    arguments: { operator },
    weighed: 'fleet',
    confirm: { question: (given) => `Disable the operator ${given.operator}?`, erases: false },
    call: (given, { api }) => api.patch<OperatorJson>(at`/operators/${given.operator}`, { disabled: true }),
    print: ({ name }) => sentences(`${name} can sign in no more.`),
  }),
  command({
    words: 'operator enable',
    about: 'Let an operator sign in again.',
    arguments: { operator },
    call: (given, { api }) => api.patch<OperatorJson>(at`/operators/${given.operator}`, { disabled: false }),
    print: ({ name }) => sentences(`${name} can sign in again.`),
  }),
  command({
    words: 'operator promote',
    about: 'Have an operator administer the server.',
    arguments: { operator },
    confirm: { question: (given) => `Let ${given.operator} do everything on this server?`, erases: false },
    call: (given, { api }) => api.patch<OperatorJson>(at`/operators/${given.operator}`, { administrator: true }),
    print: ({ name }) => sentences(`${name} administers the server.`),
  }),
  command({
    words: 'operator demote',
    about: 'Have an operator administer the server no more; their roles in accounts stay.',
    arguments: { operator },
    weighed: 'fleet',
    confirm: { question: (given) => `Have ${given.operator} administer the server no more?`, erases: false },
    call: (given, { api }) => api.patch<OperatorJson>(at`/operators/${given.operator}`, { administrator: false }),
    print: ({ name }) => sentences(`${name} administers the server no more.`),
  }),
  command({
    words: 'operator rename',
    about: 'Change what an operator signs in by.',
    arguments: { operator, name: text('NAME', 'the new name') },
    call: (given, { api }) => api.patch<OperatorJson>(at`/operators/${given.operator}`, { name: given.name }),
    print: ({ name }) => sentences(`The operator signs in as ${name} from now on.`),
  }),
  command({
    words: 'operator end-sessions',
    about: 'Sign an operator out everywhere.',
    arguments: { operator },
    weighed: 'fleet',
    confirm: { question: (given) => `Sign ${given.operator} out everywhere?`, erases: false },
    call: (given, { api }) => api.post<EndedJson>(at`/operators/${given.operator}/end-sessions`),
    print: ({ ended }) => sentences(`${ended} session(s) ended.`),
  }),
  command({
    words: 'operator reset',
    about: "Take an operator's password and second factors away, and invite them to begin anew.",
    arguments: { operator },
    weighed: 'fleet',
    confirm: {
      question: (given) => `Take the password and the second factors of ${given.operator} away?`,
      erases: true,
    },
    call: (given, { api }) => api.post<InvitedOperatorJson>(at`/operators/${given.operator}/reset`),
    print: invitedPage,
  }),
  command({
    words: 'operator delete',
    about: 'Delete an operator; what they did stays in the audit log.',
    arguments: { operator },
    weighed: 'fleet',
    confirm: { question: (given) => `Delete the operator ${given.operator}?`, erases: true },
    call: (given, { api }) => api.delete<OperatorJson>(at`/operators/${given.operator}`),
    print: ({ name }) => sentences(`The operator ${name} is deleted.`),
  }),
];
