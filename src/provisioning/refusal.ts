// A refusal: the code, the rule that failed in one sentence, and what to do about it.

import { type Problem, type ProblemCode, sentenceOf } from '../problem.ts';

export interface Refusal {
  readonly code: ProblemCode;
  /** One sentence: what failed. */
  readonly rule: string;
  /** One sentence: what to do about it. */
  readonly remedy: string;
}

/** What helps, where nothing more exact is known. */
const remedies: Partial<Record<ProblemCode, string>> = {
  invalid_request: 'Correct what the client sends: a plain path, one Host field, and a body that the call takes.',
  certificate_required:
    'Configure the device to show its certificate, or provision it first with its provisioning key.',
  certificate_expired: 'Give the device a new certificate under the same Fleet Root CA.',
  certificate_not_yet_valid: 'Correct the clock of whoever made the certificate, or wait until it is valid.',
  certificate_untrusted:
    "Register the CA that signed it with `fleet-root register`, or send the device to its own account's gateway.",
  certificate_invalid: 'Have the certificate made again as the guide shows.',
  certificate_revoked: 'Give the device a new certificate; a revoked one never gets in again.',
  certificate_not_in_manifest:
    'If your factory made it, import the manifest that holds it with `manifest import`; else it is a stranger, and its maker has the key of a CA.',
  device_id_invalid: 'Have the certificate made again with the device ID as its common name.',
  device_id_conflict:
    'If it is the same device, allow the move with `device move-root` or `fleet-root successor`; else give it another ID.',
  device_id_not_allowed: 'Import the device ID with `allow-list import`, or change the pattern.',
  admission_pending: 'Approve it with `device approve`, or turn it away with `device reject`.',
  rekey_pending: 'Approve the new key with `device approve`, or turn it away with `device reject`.',
  device_suspended: 'Let it in again with `device resume`.',
  device_revoked: 'Delete it with `device delete` if its ID shall join anew.',
  fleet_root_ca_closed: 'Open the Fleet Root CA to newcomers with `fleet-root activate`.',
  fleet_root_ca_disabled:
    'Enable the Fleet Root CA with `fleet-root activate`, or give the device another certificate.',
  provisioning_key_expired: 'Make new credentials with `credentials create`.',
  provisioning_key_disabled: 'Make new credentials with `credentials create`.',
  provisioning_key_exhausted: 'Make new credentials with `credentials create` and a higher --max-uses.',
  network_not_allowed: 'Provision from an allowed network, or make credentials with another --network.',
  provisioning_not_offered: 'Use an account of the kind "test", or give the device a certificate of your own PKI.',
  not_a_device: "Show the device's own certificate; the provisioning key only makes one.",
  not_a_provisioning_key: 'Show the certificate of the provisioning key from credentials.zip.',
  device_already_registered: '`device reprovision` lets a wiped device in once more; another device needs another ID.',
  too_many_requests: 'Devices come back by themselves; [limits] in the configuration has the rates.',
  misdirected_request: 'Let the URL name the same host that the TLS connection asks for.',
};

/** Makes a refusal; the code's standing sentences stand in for what is not given. */
export function refuse(code: ProblemCode, rule?: string | null, remedy?: string | null): Refusal {
  return {
    code,
    rule: rule ?? sentenceOf(code),
    remedy: remedy ?? remedies[code] ?? 'See docs/errors.md for this code.',
  };
}

/** The refusal that a Problem amounts to. */
export function refusalOf(problem: Problem): Refusal {
  return refuse(problem.code, problem.message, problem.hint);
}
