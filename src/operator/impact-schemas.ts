// What breaks if I do this? The schemas of a dry run's answer, and of what a destructive call takes in its query.

import { type Static, type TSchema, Type } from 'typebox';
import { closed, line, nullable } from './schemas.ts';

/** What every destructive call takes in its query, beside what it takes itself. */
export const dryRunMembers = {
  dry_run: Type.Optional(Type.Boolean({ description: 'Answers with what the call would touch, and does nothing.' })),
  confirm: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'How many devices the call may cost at most: `confirm` of the dry run, or more.',
    }),
  ),
};
export const DestructiveQuery = Type.Object(dryRunMembers, closed);
export const RemovedUpstreamQuery = Type.Object({ prefix: line, ...dryRunMembers }, closed);

const count = (description: string) => Type.Integer({ minimum: 0, description });

export const ImpactSchema = Type.Object({
  action: Type.String({ description: 'The `operationId` of the call.' }),
  devices: count('Known devices that the call touches.'),
  seen_last_day: count('Of these, those that were seen in the last 24 hours.'),
  refused: count('Of these, those that get in at present, and would be refused from then on.'),
  by_rule: Type.Array(
    Type.Object({
      code: Type.String({ description: 'What they would be told.' }),
      rule: Type.String({ description: 'One sentence.' }),
      devices: count('How many.'),
    }),
    { description: 'The `refused` by the rule that would refuse them, the most first.' },
  ),
  confirm: count('The number that the call itself needs in `confirm`, at least; 0 where it needs none.'),
  newcomers: nullable(Type.String({ description: 'What changes for devices that are not known yet.' })),
  unknown: nullable(Type.String({ description: 'What cannot be told from what the server knows.' })),
  sample: Type.Array(Type.String(), {
    maxItems: 10,
    description: 'Device IDs of some that it touches, refused first.',
  }),
  other: Type.Array(
    Type.Object({
      what: Type.String({ description: 'Such as `hosts`, `provisioning_keys`, `back_ends`.' }),
      count: count('How many.'),
      sample: Type.Array(Type.String(), { maxItems: 10, description: 'What some of them are called.' }),
    }),
    { description: 'What else ends, or changes.' },
  ),
});

export type ImpactJson = Static<typeof ImpactSchema>;
export type DestructiveQueryJson = Static<typeof DestructiveQuery>;

/** The answers of a destructive call: what it does, or, of a dry run, what it would touch. */
export function orImpact<Done extends TSchema>(done: Done) {
  return { 200: Type.Union([done, ImpactSchema]) };
}
