// The operations of an OpenAPI document, one after the other.

export interface Operation {
  /** In capitals. */
  readonly method: string;
  /** Such as `/api/v1/accounts/{account}`. */
  readonly path: string;
  readonly operation: any;
}

/** All of them, in the order of the document. */
export function operationsOf(document: { paths: Record<string, Record<string, unknown>> }): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}
