// The labels of a device or an allow-list entry as a row has them: JSON, the names in their order.

/** Labels by their names. */
export type Labels = Readonly<Record<string, string>>;

/** How many labels a device may have. */
export const mostLabels = 16;

/** The labels of a row; none where there are none. */
export function readLabels(labels: string | null): Labels {
  return labels === null ? {} : (JSON.parse(labels) as Labels);
}

/** The same labels with others set or, where null, taken away; as a row has them. */
export function withLabels(present: Labels, changes: Readonly<Record<string, string | null>>): string | null {
  const changed = { ...present, ...changes };
  const kept = Object.entries(changed).filter((entry): entry is [string, string] => entry[1] !== null);
  if (kept.length === 0) return null;
  return JSON.stringify(Object.fromEntries(kept.toSorted(([one], [other]) => (one < other ? -1 : 1))));
}
