// `account operators`, `operator grant`, `operator invite`, `operator withdraw`: who may do what in an account.

import type { InvitedMemberJson, MemberJson } from '../operator/member-schemas.ts';
import { account } from './account-commands.ts';
import { at } from './client.ts';
import { command } from './command.ts';
import { invited } from './operator-commands.ts';
import { sentences, table } from './page.ts';
import { choice, text } from './parameters.ts';

const name = text('NAME', 'what the operator signs in by, or an ID');
const role = choice(['owner', 'operator', 'auditor', 'factory'], 'what they may do there (docs/roles.md)');

export const memberCommands = [
  command({
    words: 'account operators',
    about: 'List who has a role in an account.',
    more: ['Administrators of the server may do everything in every account, and are not among them.'],
    arguments: { account },
    call: (given, { api }) => api.list<MemberJson>(at`/accounts/${given.account}/operators`),
    print: (members, given) =>
      table(members, `Nobody has a role in ${given.account}.`, {
        name: (row) => row.name,
        role: (row) => row.role,
        disabled: (row) => row.disabled,
        'by single sign-on': (row) => row.single_sign_on,
        id: (row) => row.id,
      }),
  }),
  command({
    words: 'operator grant',
    about: 'Give an operator a role in an account, in place of the one they have there.',
    arguments: { name, account, role },
    call: (given, { api }) =>
      api.put<MemberJson>(at`/accounts/${given.account}/operators/${given.name}`, { role: given.role }),
    print: (member, given) => sentences(`${member.name} is ${member.role} of ${given.account}.`),
  }),
  command({
    words: 'operator invite',
    about: 'Give somebody a role in an account; for a name that is new, with a link to make a password.',
    arguments: { name: text('NAME', 'to sign in by: an e-mail address, or a word'), account, role },
    call: (given, { api }) =>
      api.post<InvitedMemberJson>(at`/accounts/${given.account}/operators`, { name: given.name, role: given.role }),
    print: (member, given) =>
      invited(sentences(`${member.name} is ${member.role} of ${given.account}.`), member.name, member.invitation),
  }),
  command({
    words: 'operator withdraw',
    about: "Take an operator's role in an account away, from now on.",
    arguments: { name, account },
    weighed: 'fleet',
    confirm: {
      question: (given) => `Take the role of ${given.name} in ${given.account} away?`,
      erases: false,
    },
    call: (given, { api }) => api.delete<MemberJson>(at`/accounts/${given.account}/operators/${given.name}`),
    print: (member, given) => sentences(`${member.name} has no role in ${given.account} any more.`),
  }),
];
