// The audit log: what was done and refused, by whom; exported, signed, and verified as far as the server itself can.

import { createPublicKey } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import { Problem } from '../problem.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { logType, type SignedCheckpoint, signedCheckpoint } from '../registry/audit-chain.ts';
import { auditCheckpoints, auditHead, auditLogId, chainedEntries, listAuditEntries } from '../registry/audit.ts';
import type { AuditEntry } from '../registry/audit-tables.ts';
import { auditVerdict } from '../registry/audit-verdict.ts';
import type { Db } from '../registry/database.ts';
import { formatInstant } from '../time.ts';
import {
  type AuditEntryJson,
  AuditEntrySchema,
  AuditQuery,
  CheckpointQuery,
  CheckpointSchema,
  CheckpointsSchema,
  VerdictSchema,
  type VerdictJson,
} from './audit-schemas.ts';
import type { EventCursors } from './event-cursor.ts';
import { readQueryInstant } from './inputs.ts';
import { namedAccount } from './named.ts';
import { linkCursor } from './paging.ts';
import { principalOf } from './principal.ts';
import { readers, rule } from './rule.ts';
import { AccountPath } from './schemas.ts';
import type { Api } from './typed-api.ts';

/** What of the audit log is not only read. */
export interface Audit {
  /** Chains what waits. */
  chain(): Promise<void>;
  /** Chains what waits and signs a checkpoint over it; null where nothing was ever done. Throws `custody_unavailable`. */
  checkpoint(): Promise<SignedCheckpoint | null>;
}

const standardLimit = 100;
/** Entries of an export that are read at a time. */
const exportedAtOnce = 500;
/** How long a verdict is told again, in milliseconds: it takes the whole log to find. */
const verdictLasts = 10_000;

/** Adds the routes of the audit log. */
export function auditRoutes(
  api: Api,
  { registry, clock }: Provisioning,
  audit: Audit,
  { cursors }: { readonly cursors: EventCursors },
): void {
  const list = { 200: Type.Array(AuditEntrySchema) };

  api.get(
    '/audit',
    { ...rule('listAudit', 'administrator'), schema: { querystring: AuditQuery, response: list } },
    (request, reply) => page(request, reply, request.query, undefined),
  );

  api.get(
    '/accounts/:account/audit',
    {
      ...rule('listAccountAudit', readers),
      schema: { params: AccountPath, querystring: AuditQuery, response: list },
    },
    async (request, reply) => {
      const account = await namedAccount(registry.read, request.params.account);
      return page(request, reply, request.query, account.id);
    },
  );

  api.get('/audit/export', rule('exportAudit', 'administrator'), async (_request, reply) => {
    await audit.chain();
    reply.type('application/jsonl; charset=utf-8');
    return reply.send(Readable.from(exportLines(registry.read)));
  });

  api.get(
    '/audit/checkpoints',
    {
      ...rule('listCheckpoints', 'administrator'),
      schema: { querystring: CheckpointQuery, response: { 200: CheckpointsSchema } },
    },
    async (request, reply) => {
      const { limit = standardLimit, cursor } = request.query;
      const before = cursor === undefined ? {} : { before: Number(cursor) };
      const rows = await auditCheckpoints(registry.read, { limit, ...before });
      if (rows.length === limit) linkCursor(request, reply, String(rows.at(-1)!.number));
      const log = await auditLogId(registry.read);
      const [last] = rows;
      return {
        log,
        public_key: last ? pemOf(last.public_key) : null,
        checkpoints: log === null ? [] : rows.map((row) => signedCheckpoint(log, row)),
      };
    },
  );

  api.post(
    '/audit/checkpoints',
    { ...rule('createCheckpoint', 'administrator'), schema: { response: { 200: CheckpointSchema } } },
    async () => {
      const checkpoint = await audit.checkpoint();
      if (checkpoint === null) throw new Problem('conflict', 'The audit log has no entry yet to sign.');
      return checkpoint;
    },
  );

  // One at a time, and for everybody who asks meanwhile: it reads the whole log.
  let verdict: { found: Promise<VerdictJson>; until: number } | null = null;
  api.get(
    '/audit/verification',
    { ...rule('verifyAudit', 'administrator'), schema: { response: { 200: VerdictSchema } } },
    async () => {
      const now = performance.now();
      if (verdict === null || verdict.until < now) {
        const found = judge(registry.read, clock());
        verdict = { found, until: Number.POSITIVE_INFINITY };
        const mine = verdict;
        void found.then(
          () => (mine.until = performance.now() + verdictLasts),
          () => (mine.until = 0),
        );
      }
      return verdict.found;
    },
  );

  async function page(
    request: FastifyRequest,
    reply: FastifyReply,
    query: Static<typeof AuditQuery>,
    account_id: string | undefined,
  ): Promise<AuditEntryJson[]> {
    const { limit = standardLimit, cursor, since, until, actor, action, object, result } = query;
    const filter = {
      ...(account_id !== undefined && { account_id }),
      ...(actor !== undefined && { actor }),
      ...(action !== undefined && { action }),
      ...(object !== undefined && { object }),
      ...(result !== undefined && { result }),
      ...(since !== undefined && { since: readQueryInstant('since', since) }),
      ...(until !== undefined && { until: readQueryInstant('until', until) }),
    };
    // Not the scope of the account's events: equal numbers would be seen to be equal.
    const scope = `audit ${account_id ?? ''}`;
    const before = cursor === undefined ? {} : { before: placeIn(scope, cursor) };
    const { entries, next } = await listAuditEntries(registry.read, filter, { limit, ...before });
    if (next !== null) linkCursor(request, reply, cursors.write(scope, next));
    return entries.map(principalOf(request).administrator ? entryJson : unnumberedJson);
  }

  function placeIn(scope: string, cursor: string): number {
    const place = cursors.read(scope, cursor);
    if (place !== null) return place;
    throw new Problem(
      'invalid_request',
      'The cursor in the query is none of this list.',
      'Follow the `next` link of the page before as it is, or begin anew without a cursor.',
    );
  }
}

async function judge(db: Db, now: number): Promise<VerdictJson> {
  const { misfit, ...found } = await auditVerdict(db);
  return { ok: misfit === null, ...found, first_misfit: misfit, at: formatInstant(now) };
}

/** An entry as its body, which is what was hashed, has it. */
function entryJson({ number, hash, body }: AuditEntry): AuditEntryJson {
  return { number, hash, ...(JSON.parse(body) as Omit<AuditEntryJson, 'number' | 'hash'>) };
}

/** The same for who reads one account: the numbers run through all of them, and would tell how busy the others are. */
function unnumberedJson(entry: AuditEntry): AuditEntryJson {
  return { ...entryJson(entry), number: null, hash: null };
}

/** The first line says which log it is, each other one is an entry; all of what is chained when the export begins. */
async function* exportLines(db: Db): AsyncGenerator<string> {
  const log = await auditLogId(db);
  if (log === null) return;
  yield `${JSON.stringify({ type: logType, log })}\n`;
  const end = (await auditHead(db))?.number ?? 0;
  for (let at = 0; at < end;) {
    const entries = await chainedEntries(db, at, Math.min(exportedAtOnce, end - at));
    if (entries.length === 0) return;
    at = entries.at(-1)!.number;
    yield entries
      .map(({ number, hash, previous_hash, body }) => `${JSON.stringify({ number, hash, previous_hash, body })}\n`)
      .join('');
  }
}

function pemOf(spki: Uint8Array): string {
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  return key.export({ format: 'pem', type: 'spki' });
}
