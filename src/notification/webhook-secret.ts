// The secret of a webhook and what it signs, by the Standard Webhooks specification (standardwebhooks.com).

import { createHmac, randomBytes } from 'node:crypto';
import type { Seal } from '../custody/seal.ts';
import type { WebhookSecret } from '../registry/event-tables.ts';
import { Secret } from '../secret.ts';

const secretSize = 32;
const prefix = 'whsec_';

/** What a secret is called in the seal, by the ID of its row. */
export const webhookSecretContext = (id: string): string => `webhook secret ${id}`;

/** A new secret for the row `id`: as it lies in the registry, and as its receiver is told it, once. */
export function createWebhookSecret(seal: Seal, id: string): { id: string; sealed: Buffer; told: Secret } {
  using bytes = new Secret(randomBytes(secretSize));
  const sealed = seal.seal(bytes.reveal(), webhookSecretContext(id));
  return { id, sealed, told: Secret.fromText(prefix + bytes.reveal().toString('base64')) };
}

/** What a message's signature is over. */
export interface Signed {
  readonly id: string;
  /** Of the attempt, in whole seconds since 1970. */
  readonly timestamp: number;
  readonly body: string;
}

/** The value of `webhook-signature`: a signature by each of the secrets, so that the receiver may know the old or the new. */
export function signaturesOf(seal: Seal, secrets: readonly WebhookSecret[], { id, timestamp, body }: Signed): string {
  const signatures = secrets.map((secret) => {
    using key = seal.open(secret.sealed, webhookSecretContext(secret.id));
    return `v1,${createHmac('sha256', key.reveal()).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
  });
  return signatures.join(' ');
}
