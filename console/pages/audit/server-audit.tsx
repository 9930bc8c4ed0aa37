// The audit log of the whole server, for its administrators.

import { Audit } from './audit.tsx';

export function ServerAudit() {
  return <Audit account={null} />;
}
