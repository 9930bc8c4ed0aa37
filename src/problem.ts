// The one error class, and the closed table that gives each code its HTTP status and its sentence.

/** Status and standing sentence of every code that a device or an operator can be told (docs/errors.md lists them). */
const table = {
  invalid_request: [400, 'The request is malformed.'],
  unauthenticated: [401, 'This needs a login or a token.'],
  station_unknown: [401, 'Only a station may ask here.'],
  second_factor_required: [401, 'The password is right; a second factor is due.'],
  forbidden: [403, 'The role of this operator does not allow it.'],
  cross_site: [403, 'The call does not show that it comes from this site itself.'],
  link_invalid: [403, 'The link does not count, or does not count any more.'],
  sign_in_again: [403, 'This needs a session that has just begun.'],
  certificate_required: [403, 'The device gateway needs a client certificate.'],
  certificate_expired: [403, 'The certificate, or one on its path, has expired.'],
  certificate_not_yet_valid: [403, 'The certificate, or one on its path, is not valid yet.'],
  certificate_untrusted: [403, 'The certificate does not lead to a Fleet Root CA of this account.'],
  certificate_invalid: [403, 'The certificate, or one on its path, breaks a rule of RFC 5280.'],
  certificate_revoked: [403, 'The certificate has been revoked.'],
  certificate_not_in_manifest: [403, 'The certificate is in no manifest of its factory.'],
  device_id_invalid: [403, "The certificate's common name is no device ID."],
  device_id_conflict: [403, 'This device ID belongs to a device under another Fleet Root CA.'],
  device_id_not_allowed: [403, 'This device ID is not one that may join.'],
  admission_pending: [403, 'The device waits for an operator to approve it.'],
  rekey_pending: [403, 'The new key of this device waits for an operator to approve it.'],
  device_suspended: [403, 'The device is suspended.'],
  device_revoked: [403, 'The device is revoked.'],
  fleet_root_ca_closed: [403, 'The Fleet Root CA takes no newcomers.'],
  fleet_root_ca_disabled: [403, 'The Fleet Root CA is disabled.'],
  provisioning_key_expired: [403, 'The provisioning key has expired.'],
  provisioning_key_disabled: [403, 'The provisioning key is disabled.'],
  provisioning_key_exhausted: [403, 'The provisioning key has no uses left.'],
  network_not_allowed: [403, 'The provisioning key may not be used from this network.'],
  provisioning_not_offered: [403, 'This account does not issue device certificates.'],
  not_a_device: [403, 'This call needs the certificate of a device.'],
  not_a_provisioning_key: [403, 'This call needs the certificate of a provisioning key.'],
  destination_not_allowed: [403, 'The server does not connect there.'],
  tpm_proof_refused: [403, 'The proof that the key lies in a TPM does not hold.'],
  station_not_allowed: [403, 'The station may not ask here.'],
  window_closed: [403, 'No window is open for this.'],
  mandate_missing: [403, 'No mandate of the Fleet Root covers this.'],
  quota_exhausted: [403, 'The quota is used up.'],
  tpm_proof_required: [403, 'The order needs the proof that the key lies in a TPM.'],
  not_found: [404, 'There is no such thing here.'],
  method_not_allowed: [405, 'This path does not take that method.'],
  request_timeout: [408, 'The request took too long to arrive.'],
  device_already_registered: [409, 'The device ID is taken.'],
  key_in_use: [409, 'The public key belongs to another certificate.'],
  host_taken: [409, 'The host belongs to an account already.'],
  name_taken: [409, 'The name is taken.'],
  conflict: [409, 'The change does not fit the present state.'],
  confirmation_required: [409, 'What this costs is to be confirmed.'],
  key_held_by_server: [409, 'This server holds, or has held, the private key of that certificate.'],
  key_not_exportable: [409, 'The private key is never given out.'],
  idempotency_key_in_use: [409, 'A call with this Idempotency-Key was made before.'],
  precondition_failed: [412, 'What is to be changed is not as it was.'],
  body_too_large: [413, 'The body is too large.'],
  unsupported_media_type: [415, 'The body has a type that this path does not take.'],
  misdirected_request: [421, 'The Host header and the TLS server name are not of one account.'],
  password_unfit: [422, 'The password cannot be used.'],
  key_not_accepted: [422, 'The public key cannot be certified.'],
  certificate_unfit: [422, 'The certificate cannot serve this purpose.'],
  idempotency_key_reused: [422, 'This Idempotency-Key belongs to another call.'],
  too_many_requests: [429, 'Too many requests.'],
  headers_too_large: [431, 'The header fields are too large.'],
  internal_error: [500, 'The server failed.'],
  upstream_unavailable: [502, 'The back end cannot be reached.'],
  custody_unavailable: [503, 'The custodian of the private keys cannot be reached.'],
  unavailable: [503, 'The server cannot do this now.'],
  upstream_timeout: [504, 'The back end did not answer in time.'],
} as const satisfies Record<string, readonly [number, string]>;

/** A code of the closed table. */
export type ProblemCode = keyof typeof table;

/** All codes, in the order of their HTTP status. */
export const problemCodes = Object.keys(table) as ProblemCode[];

/** The HTTP status of a code. */
export function statusOf(code: ProblemCode): number {
  return table[code][0];
}

/** The standing sentence of a code, for where nothing more exact is known. */
export function sentenceOf(code: ProblemCode): string {
  return table[code][1];
}

/** Whether a word from outside is a code of the table. */
export function isProblemCode(word: string): word is ProblemCode {
  return Object.hasOwn(table, word);
}

/**
 * What is told to whoever asked for something that cannot be done.
 * `message` is one sentence that says what is wrong and where; `hint` one that says what to do about it.
 */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  readonly hint: string | null;
  /** Further members of the problem as operators are told it (RFC 9457 §3.2). */
  readonly members: Readonly<Record<string, number | string | readonly string[]>>;

  constructor(
    code: ProblemCode,
    message?: string,
    hint?: string | null,
    {
      members = {},
      ...options
    }: ErrorOptions & { members?: Readonly<Record<string, number | string | readonly string[]>> } = {},
  ) {
    super(message ?? sentenceOf(code), options);
    this.code = code;
    this.hint = hint ?? null;
    this.members = members;
  }

  get status(): number {
    return statusOf(this.code);
  }
}
