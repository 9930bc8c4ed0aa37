// What a change would cost a fleet: how many devices it touches, and which of them would be refused, by which rule.

import type { ProblemCode } from '../problem.ts';

/** How many devices one rule would refuse. */
export interface RefusedByRule {
  readonly code: ProblemCode;
  /** One sentence, of all of them. */
  readonly rule: string;
  readonly devices: number;
}

/** Something that ends or changes beside devices. */
export interface OtherFact {
  /** Such as `hosts`. */
  readonly what: string;
  readonly count: number;
  /** Names, ten at most. */
  readonly sample: readonly string[];
}

/** What a change would do. */
export interface Impact {
  /** Known devices that it touches. */
  readonly devices: number;
  /** Of these, those seen in the last 24 hours. */
  readonly seen_last_day: number;
  /** Of these, those that get in at present and would be refused from then on. */
  readonly refused: number;
  readonly by_rule: readonly RefusedByRule[];
  /** What is to be confirmed: `refused`, or all devices where they are erased. */
  readonly confirm: number;
  /** What changes for devices that are not known yet; null for nothing. */
  readonly newcomers: string | null;
  /** What cannot be told. */
  readonly unknown: string | null;
  /** Device IDs, ten at most. */
  readonly sample: readonly string[];
  readonly other: readonly OtherFact[];
}

/** How many names a sample has at most. */
export const sampleSize = 10;

/** What ends or changes beside devices, by what it is and what it is called; nothing for what there is none of. */
export function otherFacts(all: Readonly<Record<string, readonly string[]>>): OtherFact[] {
  return Object.entries(all)
    .filter(([, names]) => names.length > 0)
    .map(([what, names]) => ({ what, count: names.length, sample: names.slice(0, sampleSize) }));
}

/** The impact of what touches no known device, with what is said of it. */
export function noDevices(said: Partial<Impact> = {}): Impact {
  return {
    devices: 0,
    seen_last_day: 0,
    refused: 0,
    by_rule: [],
    confirm: 0,
    newcomers: null,
    unknown: null,
    sample: [],
    other: [],
    ...said,
  };
}
