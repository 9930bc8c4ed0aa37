// What breaks if I do this? Before a command shuts out or erases: the dry run, what it shows, and who confirms it.

import type { ImpactJson } from '../operator/impact-schemas.ts';
import type { Client } from './client.ts';
import type { Command, Session, WeighedCommand } from './command.ts';
import { Failure } from './failure.ts';
import { type Page, sentences } from './page.ts';
import { printable } from './printable.ts';
import type { Terminal } from './terminal.ts';

/** How a command that breaks something was given. */
export interface Weighing {
  readonly dryRun: boolean;
  /** `--max`: how many devices it may cost. */
  readonly max: number | null;
  readonly yes: boolean;
}

/** What confirms whatever it is: the server then does not even count. */
const whatever = Number.MAX_SAFE_INTEGER;

/** The same client, whose calls that change something say this in their query. */
function saying(api: Client, query: string): Client {
  const said = (path: string): string => `${path}${path.includes('?') ? '&' : '?'}${query}`;
  return {
    ...api,
    post: (path, body) => api.post(said(path), body),
    put: (path, body) => api.put(said(path), body),
    patch: (path, body) => api.patch(said(path), body),
    delete: (path) => api.delete(said(path)),
  };
}

/**
 * The session in which a command that breaks something goes on, its number confirmed; or what the dry run found, where
 * that is all that is wanted. Throws Failure where the answer is no, or nobody is there to give one.
 */
export async function weigh(
  command: WeighedCommand,
  given: Record<string, unknown>,
  session: Session,
  { dryRun, max, yes }: Weighing,
): Promise<Session | ImpactJson> {
  const { api } = session;
  const confirming = (most: number): Session => ({ ...session, api: saying(api, `confirm=${most}`) });
  if (!dryRun && (yes || max !== null)) return confirming(max ?? whatever);
  const impact = await command.weigh(given, { ...session, api: saying(api, 'dry_run=true') });
  if (dryRun) return impact;
  await confirm(command, given, impact, session.terminal);
  return confirming(impact.confirm);
}

/**
 * Asks on a terminal. Without one, what only shuts out goes ahead: the number is told, and is what is confirmed; of one
 * device that the command itself names there is nothing to tell.
 */
async function confirm(
  { words, weighed, confirm: asked }: Command,
  given: Record<string, unknown>,
  impact: ImpactJson,
  terminal: Terminal,
): Promise<void> {
  if (impact.confirm === 0 && !asked) return;
  const question = printable(asked?.question(given) ?? `Go ahead with \`${words.join(' ')}\`?`);
  const shown = impact.confirm === 0 ? question : `${impactPage(impact).out}${question}`;
  const answer = await askToGoAhead(terminal, shown, asked?.erases ?? false);
  if (answer === null && weighed === 'fleet' && impact.confirm > 0) {
    const rules = impact.by_rule.map(({ code, devices }) => `${code} ${devices}`).join(', ');
    const { devices, seen_last_day, refused } = impact;
    terminal.err(
      `${devices} device(s) touched, ${seen_last_day} of them seen in the last day; ${refused} refused from now on${rules && `: ${rules}`}.\n`,
    );
  }
}

/**
 * Asks before something destructive; null where nobody is there to answer. Throws Failure where the answer is no, or where
 * there is none to what `erases`.
 */
export async function askToGoAhead(terminal: Terminal, question: string, erases: boolean): Promise<true | null> {
  const answer = await terminal.ask(question);
  if (answer === false) throw new Failure('not confirmed: nothing was done');
  if (answer === null && erases) {
    throw new Failure('this needs to be confirmed, and there is no terminal to ask', 'give --yes to go ahead');
  }
  return answer;
}

/** What a dry run found, for people. */
export function impactPage(impact: ImpactJson): Page {
  const { devices, seen_last_day, refused, by_rule, newcomers, unknown, sample, other } = impact;
  return sentences(
    `It touches ${devices} device(s), of which ${seen_last_day} were seen in the last day; ${refused} would be refused from then on.`,
    ...by_rule.map((each) => `  ${each.devices}  ${each.code}: ${each.rule}`),
    ...(sample.length > 0 ? [`Such as: ${sample.join(', ')}.`] : []),
    ...(newcomers === null ? [] : [`Newcomers: ${newcomers}`]),
    ...(unknown === null ? [] : [`Not known: ${unknown}`]),
    ...other.map(({ what, count, sample: names }) => {
      const more = count > names.length ? ` and ${count - names.length} more` : '';
      return `Also ${what.replaceAll('_', ' ')}: ${names.join(', ')}${more}.`;
    }),
  );
}
