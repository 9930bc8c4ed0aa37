// No function of the registry gives or touches a row of another account, and none reads a table from end to end.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { before, after, describe, test } from 'node:test';
import { type CompiledQuery, PostgresAdapter, sql } from 'kysely';
import { accountById } from '../../src/registry/accounts.ts';
import { standingOf } from '../../src/registry/admissions.ts';
import { asProblem, type Db, type Tx } from '../../src/registry/database.ts';
import { restOf } from '../../src/registry/history-days.ts';
import { hasLockOfItsOwn, lockOf } from '../../src/registry/write-locks.ts';
import { writes } from '../../src/registry/writes.ts';
import { rowsOfOperator } from '../support/operator-rows.ts';
import { backends, type Home, insertRows, type Rows, rowsOf, transactionOn } from '../support/registry.ts';

const now = 1_800_000_000_000;
const mine = rowsOf('mine');
const other = rowsOf('other');
const me = mine.accounts[0]!.id;

/** How a function is called for `account_id` with references to what `its` rows are: mine, or another account's. */
interface Call {
  args(account_id: string, its: Rows, db: Db): unknown[] | Promise<unknown[]>;
  /** What must be so beforehand, in every account alike: the other's rows shall be as exposed as mine. */
  first?(db: Db): Promise<unknown>;
}

const intended = (db: Db) => db.updateTable('certificates').set({ state: 'intended' }).execute();
const inState = (state: 'pending' | 'suspended') => (db: Db) => db.updateTable('devices').set({ state }).execute();
const named: Call = { args: (account_id, its) => [{ account_id, device: its.devices[0]!.device_id }] };
const byUuid = { args: (account_id: string, its: Rows) => [{ account_id, device: `uuid:${its.devices[0]!.uuid}` }] };
const ofAccount: Call = { args: (account_id) => [account_id] };
const forAccount: Call = { args: (account_id) => [{ account_id }] };
const ofDevice: Call = { args: (account_id, its) => [account_id, its.devices[0]!.uuid] };
const importOf = (account_id: string, its: Rows) => ({ account_id, import_id: its.allow_list_imports[0]!.id });
/** Of every member one that fits. */
const filterOf = (its: Rows) => ({
  states: ['active', 'pending'],
  method: 'shared',
  fleet_root_ca_id: its.fleet_root_cas[0]!.id,
  intermediate: its.chain_certificates[0]!.subject,
  provisioning_key_id: its.provisioning_keys[0]!.id,
  labels: [its.device_labels[0]!],
  certificate_ends: { from: 1 },
  never_seen: true,
  first_seen: { before: now },
  prefix: its.devices[0]!.device_id.slice(0, 4),
  text: 'DEVICE',
});
const tbs = (account_id: string, its: Rows) => ({ account_id, tbs_sha256: its.certificates[0]!.tbs_sha256 });
const renamed = <T extends { account_id: string }>(account_id: string, row: T, ...members: (keyof T)[]): T => ({
  ...row,
  account_id,
  ...Object.fromEntries(members.map((member) => [member, `new-${String(member)}`])),
});

/** Every read that takes an account, by its name: the arguments after the database. */
const reads: Record<string, Call> = {
  accountFilesOf: ofAccount,
  activityOf: { args: (account_id) => [account_id, { from: 0, length: now, spans: 2, now }] },
  allowListOf: { args: (account_id) => [account_id, { seen: 'never', after: '' }] },
  certificateByTbs: { args: (account_id, its) => [account_id, its.certificates[0]!.tbs_sha256] },
  certificatesOf: ofDevice,
  chainOfCertificate: { args: (account_id, its) => [account_id, its.certificates[0]!.tbs_sha256] },
  certificatesOfChain: { args: (account_id, its) => [account_id, its.chain_certificates[0]!.chain_id] },
  countAllowList: ofAccount,
  countDevicesByRoot: ofAccount,
  countDevicesOf: ofAccount,
  deviceTalliesOf: ofAccount,
  noteGateway: ofAccount,
  countFleet: { args: (account_id) => [account_id, { now }] },
  deviceById: { args: (account_id, its) => [account_id, its.devices[0]!.device_id] },
  deviceByRef: { args: (account_id, its) => [account_id, `uuid:${its.devices[0]!.uuid}`] },
  deviceStandings: { args: (account_id) => [account_id, { after: '', limit: 10 }] },
  devicesOfProvisioningKey: { args: (account_id, its) => [account_id, its.provisioning_keys[0]!.id, 10] },
  deliveriesOf: {
    args: (account_id, its) => [
      account_id,
      its.webhooks[0]!.id,
      { state: 'pending', limit: 10, after: { created_at: 9, id: '' } },
    ],
  },
  eventsAfter: { args: (account_id) => [account_id, { after: 0, upTo: 10, limit: 10 }] },
  fleetPage: {
    args: (account_id, its) => [
      account_id,
      { filter: filterOf(its), sort: 'last_seen', after: { device_id: '', value: null } },
    ],
  },
  fleetUuids: { args: (account_id, its) => [account_id, { filter: { text: its.devices[0]!.device_id }, limit: 5 }] },
  labelNamesOf: ofAccount,
  recordChain: { args: (account_id, its) => [account_id, its.chain_certificates] },
  storeLabels: { args: (account_id, its) => [{ account_id, uuid: its.devices[0]!.uuid }, '{"a":"b"}'] },
  recordIntention: {
    args: (account_id, its) => [
      { ...renamed(account_id, its.certificates[0]!, 'tbs_sha256'), device_uuid: its.devices[0]!.uuid },
    ],
  },
  labelNewcomer: {
    args: (account_id, its) => [{ account_id, uuid: its.devices[0]!.uuid, device_id: its.allow_list[0]!.device_id }],
  },
  listDeviceCertificates: {
    args: (account_id, its) => [account_id, { filter: { sha256: its.certificates[0]!.sha256 } }],
  },
  resolveFilter: { args: (account_id, its) => [account_id, filterOf(its)] },
  weighAllowList: {
    args: (account_id, its) => [account_id, [{ device_id: its.allow_list[0]!.device_id, labels: { vin: '1' } }]],
  },
  fleetRootCaByRef: { args: (account_id, its) => [account_id, its.fleet_root_certificates[0]!.sha256] },
  fleetRootCasOf: ofAccount,
  fleetRootCertificatesOf: ofAccount,
  gatewayCasOf: ofAccount,
  gatewayCertificateOf: ofAccount,
  hostsOf: ofAccount,
  isAllowed: { args: (account_id, its) => [account_id, its.allow_list[0]!.device_id] },
  keysOf: ofAccount,
  latestEvents: { args: (account_id) => [account_id, { before: 10, limit: 10 }] },
  listAuditEntries: { args: (account_id) => [{ account_id, object: 'mine-device' }, { limit: 10 }] },
  listProvisioningKeys: ofAccount,
  listRefusals: ofAccount,
  madeCertificate: {
    args: (account_id, its) => [
      account_id,
      { issuer_key: issuerOf(its), tbs_sha256: its.manifest_certificates[0]!.tbs_sha256 },
    ],
  },
  madeElsewhere: {
    args: (account_id, its) => [
      { account_id, line_id: 'another', device_ids: [its.manifest_certificates[0]!.device_id] },
    ],
  },
  countManifestCertificates: { args: (account_id, its) => [account_id, { standing: 'shared', ...orderOf(its) }] },
  countManifestStrangers: { args: (account_id, its) => [renamed(account_id, its.manifest_lines[0]!), 'certain'] },
  countOrder: {
    args: (account_id, its) => [{ ...renamed(account_id, its.manifest_orders[0]!), change: noChange }],
  },
  lineByKey: { args: (account_id, its) => [account_id, its.manifest_lines[0]!.public_key_sha256] },
  manifestCertificatesOf: {
    args: (account_id, its) => [
      account_id,
      {
        standing: 'missing',
        ...orderOf(its),
        limit: 10,
        after: { order_name: '', line_id: its.manifest_lines[0]!.id, number: 0 },
      },
    ],
  },
  manifestLinesOf: ofAccount,
  manifestMandatesOf: { args: (account_id, its) => [account_id, its.manifest_lines[0]!.id] },
  manifestOrdersOf: { args: (account_id, its) => [account_id, orderOf(its)] },
  manifestStrangersOf: {
    args: (account_id, its) => [
      [renamed(account_id, its.manifest_lines[0]!)],
      {
        kind: 'certain',
        limit: 10,
        after: {
          line_id: its.manifest_lines[0]!.id,
          first_seen: 0,
          tbs_sha256: its.manifest_strangers[0]!.tbs_sha256,
        },
      },
    ],
  },
  noteSeen: {
    args: (account_id, its) => [{ account_id, tbs_sha256: its.manifest_certificates[0]!.tbs_sha256, seen_at: now }],
  },
  noteStrangers: { args: (account_id, its) => [renamed(account_id, its.manifest_lines[0]!), now] },
  recordMade: {
    args: (account_id, its) => [{ ...entryOf(account_id, its), entry: manifestEntry(its, 'make', 'new-tbs') }],
  },
  recordWithdrawn: {
    args: (account_id, its) => [
      {
        ...entryOf(account_id, mine),
        entry: { ...manifestEntry(its, 'withdraw', mine.manifest_certificates[0]!.tbs_sha256), number: 2 },
      },
    ],
  },
  unsweptLinesOf: ofAccount,
  membersOf: ofAccount,
  narrowingsOf: { args: (account_id) => [account_id, 10] },
  presentCertificateOf: ofDevice,
  presentMadeCertificate: {
    args: (account_id, its) => [account_id, { issuer_key: issuerOf(its), device_uuid: its.devices[0]!.uuid }],
  },
  provisioningCaOf: ofAccount,
  provisioningKeyByTbs: { args: (account_id, its) => [account_id, its.provisioning_keys[0]!.tbs_sha256] },
  prunedEventId: ofAccount,
  reportsOf: ofDevice,
  requireProvisioningKey: { args: (account_id, its) => [account_id, its.provisioning_keys[0]!.id] },
  requireWebhook: { args: (account_id, its) => [account_id, its.webhooks[0]!.id] },
  requireMember: { args: (account_id, its) => [account_id, its.operator_roles[0]!.operator_id] },
  standingOf: {
    args: (account_id, its) => [
      account_id,
      {
        device_id: its.devices[0]!.device_id,
        tbs_sha256: its.certificates[0]!.tbs_sha256,
        public_key_sha256: its.certificates[0]!.public_key_sha256,
        issuer_key: issuerOf(its),
        asks_manifests: true,
      },
    ],
  },
  standingsOfProvisioningKey: {
    args: (account_id, its) => [account_id, its.provisioning_keys[0]!.id, { after: null, limit: 10 }],
  },
  tokensOf: ofAccount,
  trustOf: ofAccount,
  trustSetsFrom: { args: (account_id, its) => [account_id, its.trust_sets[0]!.number] },
  upstreamsOf: ofAccount,
  webhooksOf: ofAccount,
};

/** Every write that takes an account, by its name: the arguments after the transaction. */
const scopedWrites: Record<string, Call> = {
  abandonCertificate: { args: (account_id, its) => [tbs(account_id, its)], first: intended },
  abandonIssuance: { args: (account_id, its) => [tbs(account_id, its)], first: intended },
  addFleetRootCa: {
    args: (account_id, its) => [
      {
        ca: renamed(
          account_id,
          { ...its.fleet_root_cas[0]!, successor_id: its.fleet_root_cas[1]!.id },
          'id',
          'name',
          'public_key_sha256',
        ),
        certificates: [renamed(account_id, its.fleet_root_certificates[0]!, 'sha256')],
      },
    ],
  },
  addFleetRootCertificates: {
    args: (account_id, its) => [
      {
        account_id,
        fleet_root_ca_id: its.fleet_root_cas[0]!.id,
        rows: [
          { ...its.fleet_root_certificates[0]!, role: 'intermediate' },
          { ...its.fleet_root_certificates[0]!, role: 'intermediate', sha256: 'new-sha256' },
        ],
      },
    ],
  },
  addHost: { args: (account_id) => [{ account_id, host: 'new.example' }] },
  admitDevice: { args: async (account_id, its, db) => [await admittance(account_id, its, db)] },
  approveDevice: { ...named, first: inState('pending') },
  beginIssuance: {
    args: (account_id, its) => {
      const { sha256, state, created_at, first_used_at, device_uuid, reply, ...row } = its.certificates[0]!;
      const provisioning_key_id = its.provisioning_keys[0]!.id;
      const fleet_root_ca_id = its.fleet_root_cas[0]!.id;
      const fresh = renamed(account_id, row, 'tbs_sha256', 'subject_name');
      return [{ certificate: { ...fresh, provisioning_key_id, fleet_root_ca_id } }];
    },
  },
  beginAllowListImport: forAccount,
  changeDevices: {
    args: (account_id, its) => [{ account_id, action: 'revoke', uuids: [its.devices[0]!.uuid] }],
  },
  commitAllowListImport: { args: (account_id, its) => [importOf(account_id, its)] },
  settleAllowListImport: { args: (account_id, its) => [{ ...importOf(account_id, its), limit: 5 }] },
  stageAllowList: {
    args: (account_id, its) => [{ ...importOf(account_id, its), entries: [{ device_id: 'new', labels: { a: 'b' } }] }],
  },
  setLabels: { args: (account_id, its) => [{ account_id, device: its.devices[0]!.device_id, labels: { a: 'b' } }] },
  completeCertificate: {
    args: (account_id, its) => [{ ...tbs(account_id, its), sha256: 'new', der: new Uint8Array(3) }],
    first: intended,
  },
  completeIssuance: {
    args: (account_id, its) => [{ ...tbs(account_id, its), sha256: 'new', der: new Uint8Array(3) }],
    first: intended,
  },
  deleteDevice: byUuid,
  disableProvisioningKey: { args: (account_id, its) => [{ account_id, id: its.provisioning_keys[0]!.id }] },
  distrustKey: {
    args: (account_id, its) => [
      { ...renamed(account_id, its.distrusted_keys[0]!), narrowing: renamed(account_id, its.narrowings[0]!, 'id') },
    ],
  },
  // Any operator of the server may be given a role: whose they are elsewhere does not matter.
  grantRole: {
    args: (account_id) => [{ account_id, operator_id: mine.operator_roles[0]!.operator_id, role: 'owner' }],
  },
  importAllowList: {
    args: (account_id, its) => [
      {
        account_id,
        entries: [its.allow_list[0]!.device_id, its.devices[0]!.device_id, 'new'].map((device_id) => ({
          device_id,
          labels: { batch: '7' },
        })),
      },
    ],
  },
  importManifest: {
    args: (account_id, its) => {
      const { fleet_root_ca_id, name, site, public_key_sha256, log_id, certificate, last_hash } =
        its.manifest_lines[0]!;
      const {
        account_id: _account,
        line_id: _line,
        used: _used,
        added_at: _at,
        ...mandate
      } = its.manifest_mandates[0]!;
      return [
        {
          account_id,
          line: { fleet_root_ca_id, name, site, public_key_sha256: 'new-line', log_id },
          certificate: { role: 'intermediate', sha256: last_hash, public_key_sha256, certificate, not_after: 5 },
          first: 1,
          last: 2,
          previous_hash: 'aa',
          hashes: new Uint8Array(64),
          made_at: now,
          entries: [manifestEntry(its, 'make', 'new-tbs'), { ...manifestEntry(its, 'withdraw', 'new-tbs'), number: 2 }],
          mandates: [{ ...mandate, id: 'new-mandate' }],
        },
      ];
    },
  },
  sweepLine: { args: (account_id, its) => [{ account_id, line_id: its.manifest_lines[0]!.id, limit: 10 }] },
  insertWebhook: {
    args: (account_id, its) => [
      {
        id: 'new-webhook',
        account_id,
        settings: its.webhooks[0]!,
        secret: { id: 'new-secret', sealed: its.webhook_secrets[0]!.sealed },
      },
    ],
  },
  intendCertificate: {
    args: (account_id, its) => {
      const { sha256, state, created_at, first_used_at, ...row } = its.certificates[0]!;
      return [{ certificate: { ...renamed(account_id, row, 'tbs_sha256'), device_uuid: its.devices[0]!.uuid } }];
    },
  },
  moveRoot: {
    args: (account_id, its) => [
      { account_id, device: its.devices[0]!.device_id, fleet_root_ca_id: its.fleet_root_cas[1]!.id },
    ],
  },
  queueTest: { args: (account_id, its) => [{ account_id, webhook_id: its.webhooks[0]!.id }] },
  readyAccount: forAccount,
  recordDeviceChain: {
    args: (account_id, its) => [
      { account_id, device_uuid: its.devices[0]!.uuid, intermediates: its.chain_certificates },
    ],
  },
  recordFirstUse: { args: (account_id, its) => [tbs(account_id, its)] },
  recordGatewayCa: {
    args: (account_id, its) => [
      { ...renamed(account_id, its.gateway_cas[0]!, 'id'), state: 'retired', key_id: its.keys[0]!.id },
    ],
  },
  recordGatewayCertificate: {
    args: (account_id, its) => [
      { ...renamed(account_id, its.gateway_certificates[0]!, 'id'), gateway_ca_id: its.gateway_cas[0]!.id },
    ],
  },
  recordKey: { args: (account_id, its) => [{ key: renamed(account_id, its.keys[0]!, 'id') }] },
  recordLastSeen: {
    args: (account_id, its) => [{ seen: [{ account_id, device_uuid: its.devices[0]!.uuid, at: now }] }],
  },
  recordProvisioningCa: {
    args: (account_id, its) => [{ ...renamed(account_id, its.provisioning_cas[0]!, 'id'), key_id: its.keys[0]!.id }],
  },
  recordProvisioningKey: {
    args: (account_id, its) => {
      const { uses, disabled_at, created_at, ...row } = its.provisioning_keys[0]!;
      return [{ key: renamed(account_id, row, 'id', 'tbs_sha256') }];
    },
  },
  recordNarrowing: { args: (account_id, its) => [renamed(account_id, its.narrowings[0]!, 'id')] },
  recordRefusals: {
    args: (account_id, its) => {
      const { id, first_at, count, ...refused } = its.refusals[0]!;
      return [
        {
          refusals: [
            { ...refused, account_id },
            { ...refused, account_id, sameness: 'new' },
          ],
          limit: 1,
        },
      ];
    },
  },
  recordSightings: {
    args: (account_id, its) => {
      const { told_at, ...seen } = renamed(account_id, its.manifest_strangers[0]!);
      const withdrawn = { ...seen, tbs_sha256: its.manifest_certificates[0]!.tbs_sha256 };
      return [
        {
          seen: [
            { ...seen, kind: 'stranger', certain: true },
            { ...seen, tbs_sha256: 'new-tbs', kind: 'stranger', certain: false },
            { ...withdrawn, kind: 'withdrawn', certain: false },
          ],
          limit: 1,
        },
      ];
    },
  },
  recordToken: {
    args: (account_id, its) => {
      const { id, role, description, sha256, not_after } = its.tokens[0]!;
      const row = { account_id, id, role, description, sha256, not_after };
      return [{ token: renamed(account_id, row, 'id', 'sha256') }];
    },
  },
  recordTrustSet: {
    args: (account_id, its) => {
      const { accepted_at, ...set } = its.trust_sets[0]!;
      return [{ ...renamed(account_id, set), settled: [its.narrowings[0]!.id] }];
    },
  },
  redeliver: {
    args: (account_id, its) => [{ account_id, webhook_id: its.webhooks[0]!.id, id: its.webhook_deliveries[0]!.id }],
  },
  rejectDevice: { ...named, first: inState('pending') },
  removeAccount: forAccount,
  removeRowsOfAccount: {
    args: (account_id) => [{ account_id }],
    first: (db) => db.updateTable('accounts').set({ deleted_at: now, ready_at: null }).execute(),
  },
  removeAccountFile: { args: (account_id, its) => [{ account_id, entry: its.account_files[0]!.entry }] },
  removeFromAllowList: { args: (account_id, its) => [{ account_id, device_ids: [its.allow_list[0]!.device_id] }] },
  removeHost: { args: (account_id, its) => [{ account_id, host: its.account_hosts[1]!.host }] },
  removeUpstream: { args: (account_id, its) => [{ account_id, prefix: its.upstreams[0]!.prefix }] },
  removeWebhook: { args: (account_id, its) => [{ account_id, id: its.webhooks[0]!.id }] },
  reprovisionDevice: named,
  reserveIdempotencyKey: {
    args: (account_id, its) => {
      const { principal, fingerprint } = its.idempotency_keys[0]!;
      return [{ id: 'new', principal, account_id, fingerprint }];
    },
  },
  resumeDevice: { ...named, first: inState('suspended') },
  revokeCertificate: { args: (account_id, its) => [{ account_id, sha256: its.certificates[0]!.tbs_sha256 }] },
  revokeDevice: byUuid,
  revokeToken: { args: (account_id, its) => [{ account_id, id: its.tokens[0]!.id }] },
  rotateWebhookSecret: {
    args: (account_id, its) => [
      {
        account_id,
        id: its.webhooks[0]!.id,
        secret: { id: 'new-secret', sealed: its.webhook_secrets[0]!.sealed },
      },
    ],
  },
  setAccountFile: { args: (account_id, its) => [renamed(account_id, its.account_files[0]!)] },
  setFleetRootAdmit: {
    args: (account_id, its) => [{ account_id, fleet_root_ca_id: its.fleet_root_cas[0]!.id, admit: 'manifest' }],
    first: (db) => db.updateTable('fleet_root_cas').set({ kind: 'registered' }).execute(),
  },
  setFleetRootState: {
    args: (account_id, its) => [
      {
        account_id,
        fleet_root_ca_id: its.fleet_root_cas[0]!.id,
        state: 'disabled',
        narrowing: renamed(account_id, its.narrowings[0]!, 'id'),
      },
    ],
  },
  setPolicy: { args: (account_id) => [{ account_id, admission: 'approval' }] },
  setSuccessor: {
    args: (account_id, its) => [{ account_id, old_id: its.fleet_root_cas[0]!.id, new_id: its.fleet_root_cas[1]!.id }],
  },
  setUpstream: { args: (account_id, its) => [renamed(account_id, its.upstreams[0]!)] },
  setUpstreams: { args: (account_id, its) => [{ account_id, upstreams: its.upstreams }] },
  settleReply: { args: (account_id, its) => [{ ...tbs(account_id, its), reply: 'lost' }] },
  storeReport: {
    args: (account_id, its) => [{ ...renamed(account_id, its.reports[0]!), device_uuid: its.devices[0]!.uuid }],
  },
  suspendDevice: named,
  switchGatewayCa: forAccount,
  tallyRefusals: {
    args: (account_id, its) => {
      const { id, first_at, count, ...refused } = its.refusals[0]!;
      return [{ refusals: [{ ...refused, account_id }] }];
    },
  },
  tellOfEnds: forAccount,
  trustKey: {
    args: (account_id, its) => [{ account_id, public_key_sha256: its.distrusted_keys[0]!.public_key_sha256 }],
  },
  updateWebhook: {
    args: (account_id, its) => [{ account_id, id: its.webhooks[0]!.id, set: { state: 'disabled' } }],
  },
  withdrawRole: {
    args: (account_id, its) => [{ account_id, operator_id: its.operator_roles[0]!.operator_id }],
  },
};

const bytes = new Uint8Array(1);
const operator_id = 'mine-operator';
const theirs = rowsOfOperator(operator_id);
const masterKey = { proof: bytes, derivation: null };
const sealedPlace = { in: 'account_files', account_id: me, entry: 'mine-entry' };

const operatorCa = { id: 'ca', key_id: 'mine-key', certificate: bytes, sha256: 'sha256', not_after: now };
const operatorCertificate = {
  id: 'certificate',
  operator_ca_id: 'ca',
  certificate: bytes,
  sealed_key: bytes,
  hosts: '["localhost"]',
  not_after: now,
};

function issuerOf(its: Rows) {
  return its.manifest_lines[0]!.public_key_sha256;
}

const noChange = { made: 1, withdrawn: 0, seen: 0, missing: 1 };

function orderOf(its: Rows) {
  return { order: its.manifest_orders[0]!.order_name };
}

function entryOf(account_id: string, its: Rows) {
  return { account_id, line_id: its.manifest_lines[0]!.id };
}

/** What a log entry tells of the certificate of `its`, under another digest. */
function manifestEntry(its: Rows, action: 'make' | 'withdraw', tbs_sha256: string) {
  const { public_key_sha256, device_id, order_name, batch, station, mandate_id, evidence } =
    its.manifest_certificates[0]!;
  const made = { public_key_sha256, device_id, order_name, batch, station, mandate_id, evidence };
  return { ...made, action, tbs_sha256, number: 1, at: now, beyond: null };
}

/** What belongs to the server as a whole: who calls it has no account yet, means all of them, or means a key by its ID. */
const serverWide: Record<string, unknown[]> = {
  activeOperatorCa: [],
  completeIdempotencyKey: [{ id: 'mine-idempotency-key', status: 201, body: null }],
  intendOperatorCertificate: [{ tbs_sha256: 'tbs', subject_name: 'localhost', public_key_sha256: 'key' }],
  operatorCertificateUnder: ['operator-ca'],
  recordOperatorCa: [operatorCa],
  recordTicketKey: [
    { key: { id: 'ticket-key', sealed_key: new Uint8Array([1]), starts_at: 1 }, after: null, forgotten: 0 },
  ],
  ticketKeys: [],
  recordOperatorCertificate: [operatorCertificate],
  releaseIdempotencyKey: [{ id: 'mine-idempotency-key' }],
  disableGoneWebhook: ['mine-webhook'],
  acceptInvitation: [{ secret_sha256: 'mine-operator-invitation-sha256', password: 'new' }],
  accountById: [me],
  addPasskey: [{ passkey: { ...theirs.passkeys[0], id: 'new' }, recovery: ['code'] }],
  administratorExists: [],
  chainsKnownSince: [],
  beginSession: [
    {
      session: { ...theirs.sessions[0], id: 'new', secret_sha256: 'new' },
      password: null,
      used: {},
      browser_sha256: 'b',
    },
  ],
  beginTotp: [{ operator_id, sealed: bytes }],
  changeOperator: [{ id: operator_id, disabled: true }],
  changePassword: [{ id: operator_id, before: 'mine-operator-password', password: 'new', session: null }],
  confirmTotp: [{ operator_id, sealed: Uint8Array.of(2), step: 3, recovery: ['code'] }],
  createFirstAdministrator: [{ secret_sha256: 'sha256', id: 'new', name: 'new', password: 'hash' }],
  createOperator: [{ id: 'new', name: 'new', administrator: true, password: null, invitation: null }],
  deleteOperator: [{ id: operator_id }],
  endSession: [{ operator_id, id: 'mine-operator-session' }],
  endSessionsOf: [{ operator_id }],
  invitedOperator: ['mine-operator-invitation-sha256'],
  invitedUntil: [operator_id],
  isKnownBrowser: [{ id: operator_id }, 'mine-operator-browser-sha256'],
  listOperators: [{ limit: 10 }],
  offerFirstAdministrator: [{ secret_sha256: 'sha256', expires_at: now }],
  operatorById: [operator_id],
  operatorByName: ['mine-operator-name'],
  passkeyById: ['mine-operator-passkey'],
  passkeysOf: [operator_id],
  recordFailedSignIn: [{ operator: null, result: 'unauthenticated', since: 1, count: 2 }],
  rehashPassword: [{ id: operator_id, before: 'mine-operator-password', password: 'new' }],
  removePasskey: [{ operator_id, id: 'mine-operator-passkey' }],
  removeTotp: [{ operator_id }],
  replaceRecoveryCodes: [{ operator_id, codes: ['code'] }],
  resetOperator: [{ id: operator_id, invitation: { secret_sha256: 'sha256', expires_at: now } }],
  rolesOf: [operator_id],
  secondFactorsOf: [operator_id],
  sessionBySecret: ['mine-operator-session-sha256'],
  sessionsOf: [operator_id],
  totpSecret: [operator_id, 'pending'],
  touchSession: [{ id: 'mine-operator-session' }],
  auditCheckpoints: [{ limit: 10 }],
  auditHead: [],
  auditLogId: [],
  auditVerdict: [],
  chainAuditEntries: [{ log: 'log', limit: 10 }],
  chainedEntries: [1, 10],
  hasUnchained: [],
  recordCheckpoint: [
    { number: 1, hash: 'hash', at: 1, key_id: 'mine-key', public_key: new Uint8Array(1), signature: new Uint8Array(1) },
  ],
  recordRefusedAttempts: [{ attempts: [] }],
  accountByRef: ['mine-account-name'],
  accountOfHost: ['mine.example'],
  accountsWithOwner: [],
  activeWebhooks: [],
  beginMasterKeyRotation: [{ row: masterKey }],
  condemnKey: [{ key_id: 'mine-key' }],
  condemnedKeys: [],
  accountsLackingGateway: [],
  accountsWithEnds: [{ after: '', limit: 10, now }],
  accountsWithLines: [],
  authoritiesAfter: ['fleet_root_ca', null, 10],
  countDevices: [null, 1],
  countKeysIn: ['software'],
  custodiansInUse: [],
  provisioningKeysAfter: [null, 10],
  recordExpiryLook: [{ at: now }],
  removedAccounts: [],
  countDevicesByEnd: [null, 1, [5, 10]],
  endMasterKeyRotation: [{}],
  eraseKey: [{ key_id: 'mine-key', from: mine.keys[0] }],
  forgetKey: [{ key_id: 'mine-key' }],
  forgetKeyCopy: [{ id: 'mine-key-copy' }],
  forgetNode: [{ node: 'mine-node' }],
  gatewayCertificatesDue: [5, { after: null, limit: 10 }],
  goneInstances: [],
  isInterrupted: [{ gone: [], before: 0 }],
  heldKeys: [['mine-key-sha256']],
  insertAccount: [{ account: { ...mine.accounts[0], id: 'new', name: 'new' }, host: 'new.gateway.localhost' }],
  keyById: ['mine-key'],
  keyCopies: ['mine-key'],
  keyEvents: ['mine-key'],
  keysByPublicKey: [['mine-key-sha256']],
  leaveBehind: [{ node_id: 'node', except: 'this-process' }],
  leaseDeliveries: [{ webhook_id: 'mine-webhook', limit: 5, until: 9 }],
  listAccounts: [],
  listKeys: [],
  listNodes: [],
  listTokens: [{}],
  masterKeyRow: ['present'],
  newestEventId: [],
  nextAttemptAt: ['mine-webhook'],
  placeKey: [{ key_id: 'mine-key', from: mine.keys[0], to: mine.keys[0], event: 'moved' }],
  pruneDeliveries: [{ before: 5, limit: 5 }],
  pruneEvents: [{ before: 5, limit: 5 }],
  turnEventDays: [{ before: 5 }],
  pruneRefusals: [{ before: 5, limit: 5 }],
  pruneReports: [{ before: 5, limit: 5 }],
  queueDeliveries: [{ webhook_id: 'mine-webhook' }],
  recordEvents: [{ events: [] }],
  recordArrival: [
    { issuer: 'i', subject: 's', names: ['new'], administrator: false, roles: [{ account: me, role: 'owner' }] },
  ],
  recordMasterKey: [{ before: null, row: masterKey }],
  recordKeyExport: [{ key_id: 'mine-key' }],
  recordTokenUse: [{ uses: [{ id: 'mine-token', at: now, address: null }] }],
  rememberServerValue: [{ key: 'key', value: new Uint8Array(1) }],
  useChallenge: [{ id: 'nonce', ends: now }],
  agreeMasterKey: [{ proof: masterKey.proof }],
  answerMasterKey: [{ proof: masterKey.proof, fault: null }],
  isMasterKeyAgreed: [{ proof: masterKey.proof }],
  masterKeyAnswers: [{ proof: masterKey.proof, instance: 'i' }],
  withdrawMasterKeyRotation: [{}],
  releaseDeliveries: [{}],
  removeUnreadyAccounts: [{ before: Number.MAX_SAFE_INTEGER }],
  replaceSealedValues: [{ changes: [{ place: sealedPlace, sealed: bytes, resealed: bytes }] }],
  requireAccount: [me],
  requireKey: ['mine-key'],
  requireOffer: ['sha256', now],
  acknowledgeRestoration: [{}],
  recordBackup: [
    {
      backup: {
        schema: 1,
        devices: 1,
        with_master_key: false,
        recipients: ['age1'],
        audit_number: 1,
        audit_hash: 'hash',
      },
    },
  ],
  recordRestoration: [{ made_at: now, audit_number: 1, audit_hash: 'hash' }],
  isHalfMoved: [],
  restorationOf: [],
  requireVouched: [{ id: operator_id, account_id: null }],
  requireLivingCustody: [mine.keys[0]],
  requireLivingMasterKey: [mine.keys[0]!.remembered],
  requireTestAccount: [me],
  requireToken: ['mine-token'],
  revokeTokensOfOperator: [{ operator_id: 'mine-operator' }],
  sealedValues: [null],
  serverValue: ['key'],
  unsettledAllowListImports: [{ before: Number.MAX_SAFE_INTEGER }],
  settleDelivery: [
    { id: 'mine-delivery', result: { delivered: true, status: 200, fault: null, gone: false, retry_at: null } },
  ],
  settleInterrupted: [{ gone: 'all', before: 0 }],
  tellRefusals: [{}],
  webhookById: ['mine-webhook'],
  webhookSecrets: ['mine-webhook', 5],
  tokenBySha256: ['mine-token-sha256'],
};

/** What must be so before some of them are called. */
const firstOf: Record<string, (db: Db) => Promise<unknown>> = {
  forgetNode: (db) =>
    db
      .insertInto('nodes')
      .values({ instance: 'i', node_id: 'n', name: 'mine-node', version: '1', started_at: 1, heard_at: 1 })
      .execute(),
  agreeMasterKey: (db) => db.insertInto('server').values({ key: 'seal_next', value: masterKey.proof }).execute(),
  createFirstAdministrator: offerWaits,
  requireOffer: offerWaits,
};

function offerWaits(db: Db): Promise<unknown> {
  const offer = { secret_sha256: 'sha256', expires_at: now + 1 };
  const value = new TextEncoder().encode(JSON.stringify(offer));
  return db.insertInto('server').values({ key: 'first_administrator', value }).execute();
}

/** What is read whole because it is all wanted, or is never more than a few rows. */
const isWhole = (table: string, { sql: asked }: CompiledQuery): boolean =>
  ['accounts', 'nodes', 'ticket_keys'].includes(table) ||
  asked.includes('as "account_name" from "keys"') ||
  asked === 'delete from "sessions"';

/** Of these an account may have very many. */
const inMillions = new Set([
  'devices',
  'certificates',
  'reports',
  'device_labels',
  'allow_list',
  'staged_allow_list',
  'audit_entries',
  'events',
  'webhook_deliveries',
  'manifest_certificates',
]);

/** A device of an unknown ID that comes with a certificate under the Fleet Root CA of `its`. */
async function admittance(account_id: string, its: Rows, db: Db) {
  const shown = { ...its.certificates[0]!, tbs_sha256: 'new-tbs', subject_name: its.devices[0]!.device_id };
  const { sha256, tbs_sha256, serial, public_key_sha256, not_before, not_after, subject_name, der } = shown;
  const standing = await standingOf(db, account_id, {
    device_id: subject_name,
    tbs_sha256,
    public_key_sha256,
    issuer_key: issuerOf(its),
    asks_manifests: true,
  });
  return {
    account_id,
    shown: { sha256, tbs_sha256, serial, public_key_sha256, not_before, not_after, subject_name, der },
    state: 'active',
    certificate_state: 'current',
    fleet_root_ca_id: its.fleet_root_cas[0]!.id,
    intermediates: [{ sha256: 'i', public_key_sha256: 'k', subject: 'CN=i', certificate: new Uint8Array(1) }],
    strange_to: its.manifest_lines[0]!.id,
    basis: { standing, account: await accountById(db, account_id), root: its.fleet_root_cas[0]! },
  };
}

type Registered = (context: Db | Tx, ...args: unknown[]) => Promise<unknown>;

/** Files that hold the registry up and know no account. */
const foundation = [
  'acting',
  'audit-chain',
  'audit-notes',
  'changes',
  'column-types',
  'commit-thread',
  'confirmation',
  'database',
  'event-notes',
  'forwarding-store',
  'history-days',
  'label-values',
  'manifest-held',
  'migrate',
  'neighbours',
  'postgres',
  'postgres-commit',
  'postgres-connections',
  'postgres-days',
  'postgres-store',
  'scope',
  'moving',
  'snapshot',
  'sqlite-dialect',
  'store',
  'tables',
  'write-locks',
  'writer',
  'writer-notes',
  'writer-thread',
  'writes',
];
/** Functions that ask no database. */
const pure = ['chainIdOf'];
const folder = join(import.meta.dirname, '../../src/registry');
const functions = new Map<string, Registered>();
for (const file of readdirSync(folder)) {
  if (!file.endsWith('.ts') || foundation.includes(file.slice(0, -3))) continue;
  const module: Record<string, unknown> = await import(join(folder, file));
  for (const [name, value] of Object.entries(module)) {
    if (typeof value === 'function' && !pure.includes(name)) functions.set(name, value as Registered);
  }
}
const isWrite = (name: string) => /^async function \w+\(\s*tx\b/.test(functions.get(name)!.toString());

/** What came of a call, in a form that is the same for the same outcome: made-up UUIDs count as one. */
function outcome(value: unknown): string {
  const plain = (_: string, member: unknown) => {
    if (member instanceof Map || member instanceof Set) return [...member];
    return member instanceof Uint8Array ? Buffer.from(member).toString('latin1') : member;
  };
  return (JSON.stringify(value, plain) ?? 'undefined').replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UUID');
}

interface Run {
  fulfilled: boolean;
  outcome: string;
  /** Whether every row of another account, or of none, is as before. */
  untouched: boolean;
  /** The accounts that changes, and entries of the audit log, were told of. */
  told: string[];
}

/** Whether queries are heard at present: only those of the function called are. */
let listening = false;

/** Calls a function in a transaction that is undone afterwards. */
async function run(db: Db, name: string, { args, first }: Call, its: Rows): Promise<Run> {
  const undone = Symbol();
  let result: Run | undefined;
  await db
    .transaction()
    .execute(async (transaction) => {
      await first?.(transaction);
      const before = await rowsOfOthers(transaction);
      const tx = transactionOn(transaction, now);
      const given = await args(me, its, transaction);
      listening = true;
      const settled = await functions.get(name)!(isWrite(name) ? tx : transaction, ...given).then(
        (value) => ({ fulfilled: true, outcome: outcome(value) }),
        (error) => ({ fulfilled: false, outcome: String(asProblem(error)) }),
      );
      listening = false;
      // What a call did before it failed, the writer undoes.
      const untouched = !settled.fulfilled || (await rowsOfOthers(transaction)) === before;
      const noted = tx.notes.flatMap(({ account_id }) => account_id ?? []);
      result = {
        ...settled,
        untouched,
        told: [...tx.changes.map((change) => ('account_id' in change ? change.account_id : 'all')), ...noted],
      };
      throw undone;
    })
    .catch((error) => {
      if (error !== undone) throw error;
    });
  return result!;
}

const tablesOfAccounts = (Object.keys(other) as (keyof Rows)[]).filter((table) => table !== 'accounts');

/** The rows of another account, or of none: in one query where each would cost a way to the server and back. */
async function rowsOfOthers(db: Db): Promise<string> {
  if (db.getExecutor().adapter instanceof PostgresAdapter) {
    const each = tablesOfAccounts.map(
      (table) => sql`select to_jsonb(t) as row from ${sql.table(table)} t where account_id != ${me}`,
    );
    const all = sql.join(
      [
        sql`select to_jsonb(t) as row from server t`,
        sql`select to_jsonb(t) from accounts t where id != ${me}`,
        ...each,
      ],
      sql` union all `,
    );
    return outcome((await sql`${all}`.execute(db)).rows);
  }
  const rows: unknown[] = [await db.selectFrom('server').selectAll().execute()];
  rows.push(await db.selectFrom('accounts').selectAll().where('id', '!=', me).execute());
  for (const table of tablesOfAccounts) {
    rows.push(await db.selectFrom(table).selectAll().where('account_id', '!=', me).execute());
  }
  return outcome(rows);
}

for (const { name: backend, home: newHome } of backends) {
  describe(`accounts in the registry on ${backend}`, () => {
    const queries = new Map<string, CompiledQuery>();
    let home: Home;
    let emptyHome: Home;
    /** With both accounts, and with mine alone. */
    let db: Db;
    let alone: Db;

    before(async () => {
      home = newHome();
      emptyHome = newHome();
      db = await home.database((query) => listening && queries.set(query.sql, query));
      alone = await emptyHome.database();
      await insertRows(db, mine);
      await insertRows(db, other);
      await insertRows(alone, mine);
    });
    after(() => {
      home[Symbol.dispose]();
      emptyHome[Symbol.dispose]();
    });

    test('every function of the registry is named here, and every one that writes is known to the writer', () => {
      const all = [...functions.keys()].sort();
      const here = [...Object.keys(reads), ...Object.keys(scopedWrites), ...Object.keys(serverWide)].sort();
      assert.deepEqual(here, all);
      assert.deepEqual(Object.keys(writes).sort(), all.filter(isWrite));
    });

    test('of every write it is said, or found in what it is given, what no other process may write meanwhile', async () => {
      for (const [name, call] of Object.entries(scopedWrites)) {
        if (!(name in writes) || hasLockOfItsOwn(name)) continue;
        const [given] = await call.args(me, mine, db);
        assert.deepEqual(lockOf(name, given), [`account ${me}`], name);
      }
      const unsaid = Object.keys(serverWide).filter((name) => name in writes && !hasLockOfItsOwn(name));
      assert.deepEqual(unsaid, []);
    });

    test('every table that belongs to an account has rows of both here', async () => {
      const tables = (await db.introspection.getTables()).filter(
        // The rest of a history that is divided by days is a part of it.
        ({ name, columns }) => name !== restOf('events') && columns.some((column) => column.name === 'account_id'),
      );
      const here = Object.keys(other).filter((table) => table !== 'accounts');
      assert.deepEqual(tables.map((table) => table.name).sort(), here.sort());
    });

    for (const [name, call] of Object.entries({ ...reads, ...scopedWrites })) {
      test(`${name} acts in its own account, whatever it is given of another`, async () => {
        const used = new Set<keyof Rows>();
        const watched = new Proxy(mine, {
          get(rows, table: keyof Rows) {
            used.add(table);
            return rows[table];
          },
        });
        await call.args(me, watched, db);
        const mixed = [...used].map((table): Rows => ({ ...mine, [table]: other[table] }));
        for (const its of [mine, other, ...mixed]) {
          const beside = await run(db, name, call, its);
          if (its === mine) assert.ok(beside.fulfilled, beside.outcome);
          assert.ok(beside.untouched, 'rows of another account have changed');
          assert.ok(
            beside.told.every((account_id) => account_id === me),
            'another account is told of',
          );
          const without = await run(alone, name, call, its);
          assert.equal(beside.outcome, without.outcome);
        }
      });
    }

    for (const [name, args] of Object.entries(serverWide)) {
      test(`${name} is not of one account, and does what it says`, async () => {
        const { fulfilled, outcome } = await run(
          db,
          name,
          { args: () => args, first: firstOf[name] ?? (async () => {}) },
          mine,
        );
        assert.ok(fulfilled, outcome);
      });
    }

    test('nothing that was asked above reads a table from end to end, but what is wanted whole', async () => {
      assert.ok(queries.size > 100, `${queries.size} queries heard`);
      const scans: string[] = [];
      for (const query of queries.values()) {
        const tables = await home.scannedBy(query);
        scans.push(...tables.flatMap((table) => (isWhole(table, query) ? [] : [`${table}: ${query.sql}`])));
      }
      assert.deepEqual(scans, []);
    });

    test('nothing that was asked above reads all that an account has of what there may be millions of', () => {
      if (!home.walkedBy) return;
      const walks = [...queries.values()]
        .filter(({ sql: asked }) => /^\s*(select|with)/i.test(asked))
        .flatMap((query) =>
          home.walkedBy!(query).flatMap((table) => (inMillions.has(table) ? [`${table}: ${query.sql}`] : [])),
        );
      // One part of a walk that takes a few thousand devices at a time (fleet.ts): here there are fewer.
      assert.deepEqual(
        walks.filter((walk) => !/devices\.account_id = \? and 1 = 1 and 1 = 1\s+group by/.test(walk)),
        [],
      );
    });
  });
}
