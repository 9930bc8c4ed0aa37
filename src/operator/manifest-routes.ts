// The account that factories give: manifests imported, lines, and what was made held against what has come.

import { Type } from 'typebox';
import type { Evidence } from '../manifest/manifest.ts';
import { longestManifest } from '../manifest/manifest.ts';
import { importManifest } from '../provisioning/manifest-import.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { type Finding, reconcile, type Reconciliation } from '../provisioning/reconciliation.ts';
import { manifestCertificatesOf, manifestStrangersOf } from '../registry/manifest-reconciliation.ts';
import type { ManifestCertificate, ManifestLine, ManifestStranger } from '../registry/manifest-tables.ts';
import { manifestLinesOf, type TakenManifest } from '../registry/manifests.ts';
import { formatInstant } from '../time.ts';
import {
  type FactoryLineJson,
  FactoryLineSchema,
  type FactoryStrangerJson,
  FactoryStrangerSchema,
  type ImportedManifestJson,
  ImportedManifestSchema,
  type ManifestCertificateJson,
  ManifestCertificateSchema,
  ManifestCertificatesQuery,
  ManifestStrangersQuery,
  type ReconciliationJson,
  ReconciliationQuery,
  ReconciliationSchema,
} from './manifest-schemas.ts';
import { namedAccount } from './named.ts';
import { cursorOf, linkCursor, readCursor, standardLimit } from './paging.ts';
import { AccountPath, FileBody } from './schemas.ts';
import { importers, rule, viewers } from './rule.ts';
import type { Api } from './typed-api.ts';

/** A line's end after the manifest is let pass. */
const bodyLimit = longestManifest + 16;

/** Adds the import, to a scope that takes `application/octet-stream` alone. */
export function manifestFileRoutes(api: Api, p: Provisioning): void {
  api.post(
    '/accounts/:account/manifests',
    {
      ...rule('importManifest', importers),
      bodyLimit,
      schema: { params: AccountPath, body: FileBody, response: { 200: ImportedManifestSchema } },
    },
    async ({ params, body }) => {
      const account = await namedAccount(p.registry.read, params.account);
      return importedJson(await importManifest(p, account, body.toString('latin1').trim()));
    },
  );
}

/** Adds the routes of manifests that take no file. */
export function manifestRoutes(api: Api, { registry }: Provisioning): void {
  api.get(
    '/accounts/:account/manifests',
    {
      ...rule('listFactoryLines', viewers),
      schema: { params: AccountPath, response: { 200: Type.Array(FactoryLineSchema) } },
    },
    async ({ params }) => {
      const account = await namedAccount(registry.read, params.account);
      return (await manifestLinesOf(registry.read, account.id)).map(lineJson);
    },
  );

  api.get(
    '/accounts/:account/manifests/certificates',
    {
      ...rule('listManifestCertificates', viewers),
      schema: {
        params: AccountPath,
        querystring: ManifestCertificatesQuery,
        response: { 200: Type.Array(ManifestCertificateSchema) },
      },
    },
    async (request, reply) => {
      const account = await namedAccount(registry.read, request.params.account);
      const { limit = standardLimit, cursor, order, standing = 'all' } = request.query;
      const list = ['manifest-certificates', account.id, standing, order];
      const place = cursor === undefined ? undefined : readCursor(list, cursor, ['text', 'text', 'number']);
      const after = place && { order_name: place[0], line_id: place[1], number: place[2] };
      const rows = await manifestCertificatesOf(registry.read, account.id, { standing, order, limit, after });
      const last = rows.at(-1);
      if (last && rows.length === limit) {
        linkCursor(request, reply, cursorOf(list, [last.order_name, last.line_id, last.number]));
      }
      return rows.map(certificateJson);
    },
  );

  api.get(
    '/accounts/:account/manifests/strangers',
    {
      ...rule('listManifestStrangers', viewers),
      schema: {
        params: AccountPath,
        querystring: ManifestStrangersQuery,
        response: { 200: Type.Array(FactoryStrangerSchema) },
      },
    },
    async (request, reply) => {
      const account = await namedAccount(registry.read, request.params.account);
      const { limit = standardLimit, cursor, standing = 'strangers' } = request.query;
      const list = ['manifest-strangers', account.id, standing];
      const place = cursor === undefined ? undefined : readCursor(list, cursor, ['text', 'number', 'text']);
      const after = place && { line_id: place[0], first_seen: place[1], tbs_sha256: place[2] };
      const kind = standing === 'strangers' ? 'certain' : 'unaccounted';
      const lines = await manifestLinesOf(registry.read, account.id);
      const rows = await manifestStrangersOf(registry.read, lines, { kind, limit, after });
      const last = rows.at(-1);
      if (last && rows.length === limit) {
        linkCursor(request, reply, cursorOf(list, [last.line_id, last.first_seen, last.tbs_sha256]));
      }
      return rows.map(strangerJson);
    },
  );

  api.get(
    '/accounts/:account/reconciliation',
    {
      ...rule('reconcileManifests', viewers),
      schema: { params: AccountPath, querystring: ReconciliationQuery, response: { 200: ReconciliationSchema } },
    },
    async ({ params, query }) => {
      const account = await namedAccount(registry.read, params.account);
      return reconciliationJson(await reconcile(registry.read, account.id, query));
    },
  );
}

function importedJson({ line, ...taken }: TakenManifest): ImportedManifestJson {
  const { id, name: line_name, site, fleet_root_ca_id: fleet_root_ca } = line;
  return { line: id, line_name, site, fleet_root_ca, ...taken };
}

function lineJson(line: ManifestLine): FactoryLineJson {
  const { id, name, site, fleet_root_ca_id: fleet_root_ca, public_key_sha256, last_number: last } = line;
  return {
    id,
    name,
    site,
    fleet_root_ca,
    public_key_sha256,
    last,
    complete_to: formatInstant(line.last_made_at),
    imported_at: formatInstant(line.imported_at),
  };
}

function certificateJson(row: ManifestCertificate): ManifestCertificateJson {
  const { device_id, tbs_sha256, public_key_sha256, number, batch, station, shares, beyond } = row;
  return {
    device_id,
    tbs_sha256,
    public_key_sha256,
    line: row.line_id,
    number,
    order: row.order_name,
    batch,
    station,
    proof: (JSON.parse(row.evidence) as Evidence).kind,
    made_at: formatInstant(row.made_at),
    withdrawn_at: formatInstant(row.withdrawn_at),
    seen_at: formatInstant(row.seen_at),
    came_at: formatInstant(row.came_at),
    shares,
    beyond,
  };
}

function strangerJson(row: ManifestStranger): FactoryStrangerJson {
  const { device_id, tbs_sha256, public_key_sha256, line_id: line, first_seen, last_seen, admitted } = row;
  return {
    device_id,
    tbs_sha256,
    public_key_sha256,
    line,
    first_seen: formatInstant(first_seen),
    last_seen: formatInstant(last_seen),
    admitted: admitted === 1,
  };
}

function reconciliationJson(reconciled: Reconciliation): ReconciliationJson {
  const { counts, lines, orders, missing, coming, shared, beyond, strangers, unaccounted } = reconciled;
  const found = <Row, Json>({ count, first }: Finding<Row>, json: (row: Row) => Json) => ({
    count,
    first: first.map(json),
  });
  return {
    ...counts,
    lines: lines.map(({ line, counts: made, mandates }) => ({
      ...lineJson(line),
      ...made,
      mandates: mandates.map(({ id, quota, used, order_name: order, device_id_pattern, not_after }) => ({
        id,
        quota,
        used,
        order,
        device_id_pattern,
        not_after: formatInstant(not_after),
      })),
    })),
    orders: orders.map(({ line_id: line, order_name: order, made, withdrawn, seen, missing: never }) => ({
      line,
      order,
      made,
      withdrawn,
      seen,
      missing: never,
    })),
    never_seen: found(missing, certificateJson),
    coming: found(coming, certificateJson),
    shared: found(shared, certificateJson),
    beyond: found(beyond, certificateJson),
    strangers: found(strangers, strangerJson),
    unaccounted: found(unaccounted, strangerJson),
  };
}
