// What devices may call: the device API in one screen.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { presentRequest } from '../log.ts';
import { type Metrics, secondsSince } from '../metrics.ts';
import { Problem } from '../problem.ts';
import { faultOfDeviceId } from '../provisioning/device-id.ts';
import type { Provisioning } from '../provisioning/provisioning.ts';
import { provisionDevice } from '../provisioning/shared-credential.ts';
import { actAs, type Actor } from '../registry/acting.ts';
import type { Account } from '../registry/tables.ts';
import type { Connection } from './connections.ts';
import type { LastSeen } from './last-seen.ts';
import { type Caller, passOn } from './pass-on.ts';
import type { Rates } from './rates.ts';
import { replyJson } from './reply.ts';
import { watchReply } from './reply-watch.ts';
import { parseJson, readReport, type ReportCall, reportCalls } from './reports.ts';
import { readBody, requireMediaType } from './request-body.ts';
import type { RequestTarget } from './request-target.ts';
import type { Trust } from './trust.ts';
import type { Upstreams } from './upstream.ts';
import type { Verdict } from './verdicts.ts';

const largestProvisioningRequest = 64 * 1024;

/** A request whose sender is known. */
export interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: RequestTarget;
  readonly connection: Connection;
  readonly verdict: Verdict;
  readonly account: Account;
}

type DeviceCall = Call & { readonly verdict: Extract<Verdict, { kind: 'device' }> };

/** What the routes work with. */
export interface Routing {
  readonly provisioning: Provisioning;
  readonly trust: Trust;
  readonly upstreams: Upstreams;
  readonly lastSeen: LastSeen;
  readonly rates: Rates;
  readonly metrics: Metrics;
}

/** Answers a call: at once (null), or when what it takes is done. Throws Problem, or rejects with one. */
export function route(routing: Routing, call: Call): Promise<void> | null {
  const { path: asked } = call.target;
  const path = asked !== '/' && asked.endsWith('/') ? asked.slice(0, -1) : asked;
  if (path === '/devices') {
    requireMethod(call, 'POST');
    return measureProvisioning(routing.metrics, call, () => provision(routing, call));
  }
  requireDevice(call);
  routing.lastSeen.note(call.connection.account_id, call.verdict.device.uuid, routing.provisioning.clock());
  if (path === '/device') {
    requireMethod(call, 'GET', 'HEAD');
    describe(routing, call);
    return null;
  }
  const report = reportCalls.get(path);
  if (report && report.method === call.request.method) return takeReport(routing, call, report);
  return passOnOnly(routing, call, path);
}

/** Counts a provisioning and what came of it, also where the reply does not arrive. */
async function measureProvisioning(
  metrics: Metrics,
  { connection }: Call,
  provision: () => Promise<void>,
): Promise<void> {
  const began = performance.now();
  let outcome = 'provisioned';
  try {
    await provision();
  } catch (error) {
    outcome = error instanceof Problem ? error.code : 'internal_error';
    throw error;
  } finally {
    const account = metrics.accounts.of(connection.account_id);
    metrics.provisionings.inc({ account, method: 'shared', outcome });
    metrics.provisioningDuration.observe(
      { outcome: outcome === 'provisioned' ? 'provisioned' : 'refused' },
      secondsSince(began),
    );
  }
}

/** `POST /devices`: a provisioning key asks for a device's credentials. */
async function provision(
  { provisioning, trust, rates }: Routing,
  { request, response, verdict, account, connection }: Call,
): Promise<void> {
  // No device of a production account could come with a provisioning key: it is told so instead of being sent for one.
  if (account.kind === 'production') throw new Problem('provisioning_not_offered');
  if (verdict.kind !== 'provisioning_key') throw new Problem('not_a_provisioning_key');
  rates.provisioning(account.id, verdict.provisioningKey.id);
  requireMediaType(request, 'application/json');
  const asked = parseJson(await readBody(request, response, largestProvisioningRequest));
  if (typeof asked !== 'object' || asked === null || !('deviceId' in asked) || typeof asked.deviceId !== 'string') {
    throw new Problem('invalid_request', 'The body is to be {"deviceId":"…","ttl":"…"}.');
  }
  connection.askedDeviceId = faultOfDeviceId(asked.deviceId) === null ? asked.deviceId : null;
  // Read after the body, which may have been long under way: what the operator changed meanwhile counts.
  const present = await trust.trustOf(account.id);
  const { address } = connection;
  const { id, description } = verdict.provisioningKey;
  const holder: Actor = { kind: 'provisioning_key', id, name: description ?? id, address, request: presentRequest() };
  const wish = { deviceId: asked.deviceId, ttl: 'ttl' in asked ? asked.ttl : undefined, address };
  const provisioned = await actAs(holder, () => provisionDevice(provisioning, present, verdict.provisioningKey, wish));
  watchReply(connection.socket, response, provisioned.settle);
  response.writeHead(200, {
    'content-type': 'application/x-pkcs12',
    'content-length': provisioned.pkcs12.length,
    'x-request-id': presentRequest() ?? '',
  });
  // The private key is gone from here once its bytes have left.
  response.once('close', () => provisioned.pkcs12.fill(0));
  response.end(provisioned.pkcs12);
  if (response.destroyed) provisioned.pkcs12.fill(0);
}

/** `GET /device`: a device's own record. */
function describe({ provisioning }: Routing, { response, verdict, account }: DeviceCall): void {
  replyJson(response, 200, ownRecord(account, verdict, provisioning.clock()));
}

/** What a device is told of itself at the instant `now`. */
function ownRecord(account: Account, verdict: DeviceCall['verdict'], now: number) {
  return { ...ownFacts(account, verdict), server_time: new Date(now).toISOString() };
}

/** What a device is told of itself, but the time, which comes last. */
export function ownFacts(account: Account, { device, certificate }: DeviceCall['verdict']) {
  return {
    account: account.name,
    device_id: device.device_id,
    uuid: device.uuid,
    state: device.state,
    certificate_not_after: new Date(certificate.not_after).toISOString(),
  };
}

/** What a device tells of itself is recorded; where a back end wants it too, its answer is the answer. */
async function takeReport(routing: Routing, call: DeviceCall, report: ReportCall): Promise<void> {
  const { request, response, connection, verdict, target } = call;
  requireMediaType(request, report.contentType);
  const body = readReport(report, await readBody(request, response, report.limit));
  await routing.provisioning.registry.write('storeReport', {
    account_id: connection.account_id,
    device_uuid: verdict.device.uuid,
    kind: report.kind,
    content_type: report.contentType,
    body,
  });
  const backEnd = await routing.upstreams.find(connection.account_id, target.path);
  if (backEnd) await passOn(backEnd, callerOf(call), target, request, response, body);
  else replyJson(response, 200, {});
}

async function passOnOnly({ upstreams }: Routing, call: DeviceCall, path: string): Promise<void> {
  const { request, response, connection, target } = call;
  const backEnd = await upstreams.find(connection.account_id, target.path);
  if (backEnd) return passOn(backEnd, callerOf(call), target, request, response, null);
  const report = reportCalls.get(path);
  if (report) requireMethod(call, report.method);
  throw new Problem('not_found', 'There is nothing at this path: the account has no back end for it.');
}

function callerOf({ account, verdict, connection }: DeviceCall): Caller {
  return { account, device: verdict.device, certificates: connection.shown?.ders ?? [] };
}

function requireDevice(call: Call): asserts call is DeviceCall {
  if (call.verdict.kind !== 'device') throw new Problem('not_a_device');
}

function requireMethod({ request, response }: Call, ...methods: string[]): void {
  if (methods.includes(request.method ?? '')) return;
  response.setHeader('allow', methods.join(', '));
  throw new Problem('method_not_allowed', `This path takes ${methods.join(' and ')} only.`);
}
