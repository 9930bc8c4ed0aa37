// The tables of operators, their logins and tokens, as types.

/** None yet. */
export type OperatorTables = Record<never, never>;
