// What a write tells of itself: notes for the audit log, and events for whoever follows.

/** Plain data that an entry may hold. Never a secret: what is secret is not even named by its digest. */
export type Plain = string | number | boolean | null | readonly Plain[] | { readonly [member: string]: Plain };

/** What a write tells of itself. */
export interface AuditNote {
  /** A noun and a verb, such as `device.revoke`. */
  readonly action: string;
  /** Null for what concerns the server as a whole. */
  readonly account_id: string | null;
  readonly object: { readonly kind: string; readonly id: string; readonly name: string | null };
  /** What has changed, as it was and as it is: members of the API's own representations. */
  readonly before?: { readonly [member: string]: Plain } | null;
  readonly after?: { readonly [member: string]: Plain } | null;
  /** `done`, or the code of the problem for which it was refused. */
  readonly result?: string;
}

/** Every type of event, closed; docs/react-to-an-event.md says what each one's `data` holds. */
export const eventTypes = [
  'device.added',
  'device.provisioned',
  'device.pending',
  'device.refused',
  'device.state_changed',
  'device.key_changed',
  'device.deleted',
  'certificate.changed',
  'certificate.expiring',
  'fleet_root_ca.changed',
  'factory.stranger',
  'manifest.imported',
  'manifest.refused',
  'provisioning_key.expiring',
  'provisioning_key.exhausted',
  'custody.away',
  'custody.back',
  'gateway_certificate.not_renewed',
  'audit.checkpoint',
  'backup.made',
  'server.restored',
] as const;
export type EventType = (typeof eventTypes)[number];

/** What a write tells the world; kept and sent only if the write is. */
export interface NewEvent {
  readonly type: EventType;
  /** Null for what concerns the server as a whole. */
  readonly account_id: string | null;
  readonly data: { readonly [member: string]: Plain };
}
