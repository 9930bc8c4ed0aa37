// The registry's migrations, in their order.

import type { Migration } from './migrate.ts';
import * as mainJob from './migrations/0001-main-job.ts';
import * as custody from './migrations/0002-custody.ts';
import * as ownerTrust from './migrations/0003-owner-trust.ts';
import * as audit from './migrations/0004-audit.ts';
import * as operators from './migrations/0005-operators.ts';
import * as events from './migrations/0006-events.ts';
import * as fleet from './migrations/0007-fleet.ts';
import * as tokens from './migrations/0008-tokens.ts';
import * as idempotency from './migrations/0009-idempotency.ts';
import * as operatorTls from './migrations/0010-operator-tls.ts';
import * as manifests from './migrations/0011-manifests.ts';
import * as admit from './migrations/0012-admit.ts';
import * as nodes from './migrations/0013-nodes.ts';
import * as tickets from './migrations/0014-tickets.ts';
import * as flatCost from './migrations/0015-flat-cost.ts';

/** All there are; one is only ever added at the end. */
export const migrations: readonly Migration[] = [
  mainJob,
  custody,
  ownerTrust,
  audit,
  operators,
  events,
  fleet,
  tokens,
  idempotency,
  operatorTls,
  manifests,
  admit,
  nodes,
  tickets,
  flatCost,
];
