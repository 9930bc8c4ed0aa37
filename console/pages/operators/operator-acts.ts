// What an administrator does with an operator's login, each with its dry run.

import { answerOf, api, type Impact, type Schema } from '../../api/client.ts';
import type { DestructiveProps } from '../../parts/destructive.tsx';
import { texts } from '../../texts.ts';

type Operator = Schema<'Operator'>;
type Act = Omit<DestructiveProps, 'onClose' | 'onDone'>;
interface Weighing {
  readonly dry_run?: boolean;
  readonly confirm?: number;
}
const said = texts.operators;

/** Changes that need no dry run, such as enabling somebody, call this too. */
export function changeOperator(
  operator: Operator,
  body: { administrator?: boolean; disabled?: boolean },
  query: Weighing = {},
) {
  return answerOf(
    api.PATCH('/api/v1/operators/{operator}', { params: { path: { operator: operator.id }, query }, body }),
  );
}

function act(
  operator: Operator,
  title: (name: string) => string,
  about: string,
  call: (query: Weighing) => Promise<unknown>,
): Act {
  return {
    title: title(operator.name),
    about,
    typed: operator.name,
    preview: () => call({ dry_run: true }) as Promise<Impact>,
    act: (confirm) => call({ confirm }),
  };
}

export const promotion = (operator: Operator): Act =>
  act(operator, said.promoteOf, said.promoteAbout, (query) => changeOperator(operator, { administrator: true }, query));
export const demotion = (operator: Operator): Act =>
  act(operator, said.demoteOf, said.demoteAbout, (query) => changeOperator(operator, { administrator: false }, query));
export const disabling = (operator: Operator): Act =>
  act(operator, said.disableOf, said.disableAbout, (query) => changeOperator(operator, { disabled: true }, query));
export const sessionsEnd = (operator: Operator): Act =>
  act(operator, said.endSessionsOf, said.endSessionsAbout, (query) =>
    answerOf(
      api.POST('/api/v1/operators/{operator}/end-sessions', { params: { path: { operator: operator.id }, query } }),
    ),
  );
export const deletion = (operator: Operator): Act =>
  act(operator, said.deleteOf, said.deleteAbout, (query) =>
    answerOf(api.DELETE('/api/v1/operators/{operator}', { params: { path: { operator: operator.id }, query } })),
  );
/** Gives the operator with the new invitation to `onReset`. */
export const reset = (operator: Operator, onReset: (operator: Schema<'InvitedOperator'>) => void): Act => {
  const call = (query: Weighing) =>
    answerOf(api.POST('/api/v1/operators/{operator}/reset', { params: { path: { operator: operator.id }, query } }));
  return {
    ...act(operator, said.resetOf, said.resetAbout, call),
    act: async (confirm) => onReset((await call({ confirm })) as Schema<'InvitedOperator'>),
  };
};
