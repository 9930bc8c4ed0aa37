// The table of operators who come by an identity provider, as types.

/** Whose roles are read from the provider's claims at each login, and given by nobody here. */
export interface OperatorIdentitiesTable {
  operator_id: string;
  /** The provider's issuer, and what it calls the person for ever (OpenID Connect Core §2, `iss` and `sub`). */
  issuer: string;
  subject: string;
}

export interface IdentityTables {
  operator_identities: OperatorIdentitiesTable;
}
