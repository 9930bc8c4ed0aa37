// A custodian in a gateway process: left alone until the control process has been let in, since what is wrong would be tried by each.

import { CustodyProblem, type Custodian } from './custodian.ts';

/** The names of the custodians that have let the control process in, as far as is known. */
export type LetIn = ReadonlySet<string>;

/**
 * `custodian`, for as long as `letIn()` has its name; else it is asked nothing. An HSM locks a token after a few wrong
 * PINs, a vault a role after a few wrong secret IDs: several processes with the same wrong one would be through at once.
 */
export function besideControl(custodian: Custodian, letIn: () => LetIn): Custodian {
  const ask = async <Result>(call: () => Promise<Result>): Promise<Result> => {
    if (letIn().has(custodian.name)) return call();
    throw new CustodyProblem('unavailable', `The custodian ${custodian.name} has not let the server in yet.`);
  };
  return {
    name: custodian.name,
    create: (request) => ask(() => custodian.create(request)),
    import: (request, privateKey) => ask(() => custodian.import(request, privateKey)),
    publicKey: (key) => ask(() => custodian.publicKey(key)),
    sign: (key, ...what) => ask(() => custodian.sign(key, ...what)),
    export: (key) => ask(() => custodian.export(key)),
    destroy: (key) => ask(() => custodian.destroy(key)),
    check: () => ask(() => custodian.check()),
    [Symbol.asyncDispose]: () => custodian[Symbol.asyncDispose](),
  };
}
