// What labels may be called, and what they may say.

const nameForm = /^[a-z0-9][a-z0-9_.-]{0,62}$/;
const longestValue = 256;

/** The name of the label that a column with this head becomes: `Batch no.` is `batch_no.`; null where none does. */
export function labelNameOf(head: string): string | null {
  const name = head
    .trim()
    .toLowerCase()
    .replaceAll(/[^a-z0-9_.-]+/g, '_');
  return nameForm.test(name) ? name : null;
}

/** What is wrong with a label, in one sentence, or null. */
export function faultOfLabel(name: string, value: string): string | null {
  if (!nameForm.test(name)) {
    return `The label name ${JSON.stringify(name.slice(0, 80))} is not of 1 to 63 characters a-z, 0-9, "_", "." and "-".`;
  }
  if (value === '') return `The label ${name} has no value.`;
  if (value.length > longestValue) return `The label ${name} has more than ${longestValue} characters.`;
  if (!value.isWellFormed() || /[\p{Cc}\p{Zl}\p{Zp}]/u.test(value)) {
    return `The label ${name} contains a control or line-separating character.`;
  }
  return null;
}
