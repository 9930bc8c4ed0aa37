// The audit log as the API answers it, of an account or of the server.

import { type Answer, api, type Page, pageOf } from '../../api/client.ts';

export type AuditEntry = Answer<'listAudit'>[number];
export const filterNames = ['actor', 'action', 'object', 'result', 'since', 'until'] as const;
export type FilterName = (typeof filterNames)[number];
export type Filter = Partial<Record<FilterName, string>>;

const limit = 50;

/** A page of the entries that fit a filter, the latest first. It may be short, or empty, and have a next one. */
export function auditPage(account: string | null, filter: Filter, cursor: string | null): Promise<Page<AuditEntry>> {
  const query = { limit, ...filter, ...(cursor !== null && { cursor }) };
  return account === null
    ? pageOf(api.GET('/api/v1/audit', { params: { query } }))
    : pageOf(api.GET('/api/v1/accounts/{account}/audit', { params: { path: { account }, query } }));
}
