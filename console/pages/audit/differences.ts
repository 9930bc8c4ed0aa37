// What differs between two objects, member by member.

export interface Difference {
  /** The names that lead to it, with dots between them. */
  readonly member: string;
  /** As it is read; null where it was not there. */
  readonly before: string | null;
  readonly after: string | null;
}

type Members = Readonly<Record<string, unknown>>;

/** The members in which two objects differ, in their order, and how many they have in common. */
export function differencesOf(
  before: Members | null,
  after: Members | null,
): { differences: Difference[]; same: number } {
  const old = flat(before ?? {});
  const now = flat(after ?? {});
  const differences: Difference[] = [];
  let same = 0;
  for (const member of new Set([...old.keys(), ...now.keys()])) {
    const [was, is] = [old.get(member) ?? null, now.get(member) ?? null];
    if (was === is) same += 1;
    else differences.push({ member, before: was, after: is });
  }
  return { differences, same };
}

/** The members of an object and of the objects in it. */
function flat(object: Members, path = ''): Map<string, string> {
  const found = new Map<string, string>();
  for (const [name, value] of Object.entries(object)) {
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      for (const [member, text] of flat(value as Members, `${path}${name}.`)) found.set(member, text);
    } else if (value !== null && value !== undefined) found.set(path + name, readable(value));
  }
  return found;
}

function readable(value: unknown): string {
  if (Array.isArray(value))
    return value.map((each) => (typeof each === 'string' ? each : JSON.stringify(each))).join('\n');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
