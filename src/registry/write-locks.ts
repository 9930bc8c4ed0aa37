// What a write must have to itself where several processes write to one database: accounts, an area, or all there is.

/**
 * The names that a write has to itself, in their order; none: all of them. What it reads to decide and what it writes,
 * nobody else writes meanwhile, or only row by row, where the database itself keeps to an index or a reference.
 */
export type WriteLock = readonly string[];

const everything: WriteLock = [];

const of = (lock: WriteLock, ...writes: string[]): [string, WriteLock][] => writes.map((write) => [write, lock]);
const area = (name: string, ...writes: string[]) => of([`area ${name}`], ...writes);

/** Accounts in one write at most that are named one by one. */
const mostAccounts = 50;

/** Writes that do not take the one account that they name, or name none. */
const exceptions = new Map<string, WriteLock>([
  // Names, hosts and namespaces are no two accounts'; keys are looked for in all of them; secrets are under one master key.
  ...of(
    everything,
    'insertAccount',
    'addHost',
    'removeUnreadyAccounts',
    'settleInterrupted',
    'forgetKey',
    'condemnKey',
    'placeKey',
    'eraseKey',
    'forgetKeyCopy',
    'recordKeyExport',
    'recordMasterKey',
    'beginMasterKeyRotation',
    'endMasterKeyRotation',
    'agreeMasterKey',
    'answerMasterKey',
    'withdrawMasterKeyRotation',
    'replaceSealedValues',
    'rememberServerValue',
    'recordExpiryLook',
    'recordTicketKey',
    'recordOperatorCa',
    'recordOperatorCertificate',
    'intendOperatorCertificate',
    'recordBackup',
    'recordRestoration',
    'acknowledgeRestoration',
  ),
  ...area('audit', 'chainAuditEntries', 'recordCheckpoint'),
  ...area('refused attempts', 'recordRefusedAttempts'),
  ...area('last seen', 'recordLastSeen'),
  ...area('refusals', 'recordRefusals', 'tallyRefusals', 'tellRefusals', 'pruneRefusals'),
  ...area('reports', 'pruneReports'),
  ...area('idempotency', 'reserveIdempotencyKey', 'completeIdempotencyKey', 'releaseIdempotencyKey'),
  ...area('events', 'pruneEvents', 'recordEvents', 'turnEventDays'),
  ...area('nodes', 'forgetNode', 'leaveBehind'),
  ...area('token use', 'recordTokenUse'),
  ...area(
    'webhooks',
    'insertWebhook',
    'updateWebhook',
    'removeWebhook',
    'rotateWebhookSecret',
    'disableGoneWebhook',
    'leaseDeliveries',
    'pruneDeliveries',
    'queueDeliveries',
    'queueTest',
    'redeliver',
    'releaseDeliveries',
    'settleDelivery',
  ),
  // Roles and tokens too: an operator who is removed has none from then on.
  ...area(
    'operators',
    'offerFirstAdministrator',
    'createFirstAdministrator',
    'createOperator',
    'changeOperator',
    'deleteOperator',
    'resetOperator',
    'acceptInvitation',
    'changePassword',
    'rehashPassword',
    'beginSession',
    'touchSession',
    'endSession',
    'endSessionsOf',
    'recordFailedSignIn',
    'beginTotp',
    'confirmTotp',
    'removeTotp',
    'replaceRecoveryCodes',
    'addPasskey',
    'removePasskey',
    'grantRole',
    'withdrawRole',
    'recordToken',
    'revokeToken',
    'revokeTokensOfOperator',
    'recordArrival',
    'useChallenge',
  ),
]);

/** Whether it is said what a write without an account takes; one of which it is not has everything to itself. */
export function hasLockOfItsOwn(name: string): boolean {
  return exceptions.has(name);
}

/** The lock that a write takes: where nothing else is said, that of the accounts that it names, in its arguments or below. */
export function lockOf(name: string, args: unknown): WriteLock {
  const exception = exceptions.get(name);
  if (exception) return exception;
  const accounts = new Set(accountsIn(args));
  return accounts.size > mostAccounts ? everything : [...accounts].map((id) => `account ${id}`).sort();
}

function accountsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  if ('account_id' in value) return typeof value.account_id === 'string' ? [value.account_id] : [];
  return Object.values(value).flatMap((member) => (typeof member === 'object' ? accountsIn(member) : []));
}

/** A lock's name: writes with the same one are written together. */
export function nameOf(lock: WriteLock): string {
  return lock.length === 0 ? 'everything' : lock.join(', ');
}
