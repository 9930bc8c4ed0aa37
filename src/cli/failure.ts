// How a command ends that does not succeed: a failure (exit code 1) or wrong usage (exit code 2).

/** What the command line could not do. `message` and `hint` are printed after `error:` and `hint:`. */
export class Failure extends Error {
  override readonly name: string = 'Failure';
  readonly hint: string | null;

  constructor(message: string, hint: string | null = null, options?: ErrorOptions) {
    super(message, options);
    this.hint = hint;
  }
}

/** A command line that is none. `usage` is that of the command meant, where one is. */
export class UsageError extends Failure {
  override readonly name = 'UsageError';
  readonly usage: string | null;

  constructor(message: string, hint: string | null = null, usage: string | null = null) {
    super(message, hint);
    this.usage = usage;
  }
}
