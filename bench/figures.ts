// What a cell of the table in docs/performance.md comes to, as docs/performance.json lists it.

/** One comparison of one run. */
export interface Figure {
  readonly what: string;
  readonly against: string;
  /** Of whatever was compared. */
  readonly versions: string;
  /** Per CPU-second of the server, to the same of what it is held against; of a limit, how often what was found goes into it. */
  readonly ratio: number;
  readonly aim: number;
}
