// The search for secret bytes in whatever form somebody may have written them.

/** Octets in one piece: what is longer is looked for by its first and its last ones, wherever a line or page ends. */
const pieceSize = 16;
/** What `util.inspect` shows of a key's first octets before it cuts the rest off. */
const inspected = 12;

/** Many secrets, to be looked for at once. */
export class Needles {
  readonly #bySignature = new Map<number, { pattern: Buffer; of: string }[]>();
  /** Which three octets a pattern begins with: all else is passed over quickly. */
  readonly #first = new Uint8Array(1 << 24);

  /** Looks for these octets too, and says `name` where they are found. */
  add(name: string, secret: Buffer): void {
    for (const piece of [secret.subarray(0, pieceSize), secret.subarray(-pieceSize)]) {
      for (const [form, pattern] of formsOf(piece)) this.#take(pattern, `${name} (${form})`);
    }
  }

  #take(pattern: Buffer, of: string): void {
    const signature = pattern.readUIntLE(0, 3);
    this.#first[signature] = 1;
    const same = this.#bySignature.get(signature) ?? [];
    same.push({ pattern, of });
    this.#bySignature.set(signature, same);
  }

  /** The names of what is in `content`, each with the form that it was found in. */
  foundIn(content: Buffer): string[] {
    const found = new Set<string>();
    let next = content.length < 3 ? 0 : content.readUIntLE(0, 3);
    for (let at = 0; at + 3 <= content.length; at += 1) {
      if (this.#first[next] === 1) {
        for (const { pattern, of } of this.#bySignature.get(next)!) {
          if (content.subarray(at, at + pattern.length).equals(pattern)) found.add(of);
        }
      }
      next = (next >>> 8) | ((content[at + 3] ?? 0) << 16);
    }
    return [...found];
  }
}

function formsOf(piece: Buffer): [form: string, pattern: Buffer][] {
  const hex = piece.toString('hex');
  const forms: [string, string | Buffer][] = [
    ['octets', piece],
    ['hex', hex],
    ['hex in capitals', hex.toUpperCase()],
    ['as util.inspect shows octets', hex.slice(0, 2 * inspected).replaceAll(/..(?=.)/g, '$& ')],
    ['as JSON shows octets', [...piece].join(',')],
  ];
  for (const encoding of ['base64', 'base64url'] as const) {
    // Of the first and the last characters some bits are those of the neighbours.
    for (const before of [0, 1, 2]) {
      const all = Buffer.concat([Buffer.alloc(before), piece])
        .toString(encoding)
        .replaceAll('=', '');
      const exact = Math.floor(((before + piece.length) * 8) / 6);
      forms.push([`${encoding} after ${before}`, all.slice(Math.ceil((before * 8) / 6), exact)]);
    }
  }
  return forms.map(([form, pattern]) => [form, Buffer.from(pattern as string)]);
}
