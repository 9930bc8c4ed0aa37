// The names that certificates of a batch get, from those of their requests, which strangers chose.

/** The longest name, in octets of UTF-8. */
const longestName = 200;

/** What requests are named by those who make them; their certificates have another ending. */
const endings = /\.(csr|p10|pem|der|req|b64|txt)$/i;

/** Controls, what is never seen or turns text around, and what another system takes for a separator of directories. */
const unfit = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\\\uFFFD]/u;

/** What became of the name of a request: its certificate's, or the sentence why it gets none. */
export type Named = { readonly file: string; readonly fault: null } | { readonly file: null; readonly fault: string };

/** Whether a file is none of the batch: what systems leave behind in every directory begins with a dot. */
export function isHidden(name: string): boolean {
  return name.split('/').some((part) => part.startsWith('.') && part !== '.' && part !== '..');
}

/** Gives every certificate a name of its own, below the directory that they are unpacked in. */
export class BatchNames {
  readonly #files: Set<string>;
  readonly #folders = new Set<string>();

  /** `taken` are names of other files there. */
  constructor(taken: Iterable<string>) {
    this.#files = new Set(taken);
  }

  /** The name of the certificate of a request of this name. */
  of(name: string): Named {
    const fault = faultOfName(name);
    if (fault !== null) return { file: null, fault };
    const parts = name.split('/').filter((part) => part !== '' && part !== '.');
    const file = `${parts.join('/').replace(endings, '')}.crt`;
    const folders = parts.slice(0, -1).map((_, index) => parts.slice(0, index + 1).join('/'));
    if (this.#files.has(file) || this.#folders.has(file) || folders.some((folder) => this.#files.has(folder))) {
      return { file: null, fault: `Another file of the batch has the name "${file}" already, or needs it.` };
    }
    this.#files.add(file);
    for (const folder of folders) this.#folders.add(folder);
    return { file, fault: null };
  }
}

function faultOfName(name: string): string | null {
  if (name.startsWith('/')) return 'Its name begins with a slash, and so leads out of the archive.';
  const parts = name.split('/');
  if (parts.includes('..')) return 'Its name leads out of the archive.';
  if (Buffer.byteLength(name) > longestName) return `Its name is longer than ${longestName} octets.`;
  if (unfit.test(name)) return 'There is a character in its name that is no part of a file name.';
  const last = parts.at(-1)!.replace(endings, '');
  return last === '' || last === '.' ? 'It has no name.' : null;
}
