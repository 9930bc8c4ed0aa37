// The audit log of an account.

import type { OfAccount } from '../../app.tsx';
import { Audit } from './audit.tsx';

export function AccountAudit({ account }: OfAccount) {
  return <Audit account={account} />;
}
