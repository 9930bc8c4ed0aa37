// Every named write of the registry, as the writer thread finds them by their names.

import { setAccountFile, removeAccountFile } from './account-files.ts';
import { insertAccount, readyAccount, setPolicy, addHost, removeHost } from './accounts.ts';
import { removeAccount, removeRowsOfAccount, removeUnreadyAccounts } from './account-removal.ts';
import { admitDevice, recordFirstUse } from './admissions.ts';
import { chainAuditEntries, recordCheckpoint, recordRefusedAttempts } from './audit.ts';
import { importAllowList, removeFromAllowList } from './allow-list.ts';
import { acknowledgeRestoration, recordBackup, recordRestoration } from './backups.ts';
import {
  beginAllowListImport,
  stageAllowList,
  commitAllowListImport,
  settleAllowListImport,
} from './allow-list-imports.ts';
import { recordDeviceChain } from './chains.ts';
import { intendCertificate, completeCertificate, abandonCertificate, revokeCertificate } from './certificates.ts';
import {
  leaseDeliveries,
  pruneDeliveries,
  queueDeliveries,
  queueTest,
  redeliver,
  releaseDeliveries,
  settleDelivery,
} from './deliveries.ts';
import { beginIssuance, completeIssuance, abandonIssuance, settleReply, settleInterrupted } from './device-issuance.ts';
import {
  approveDevice,
  rejectDevice,
  suspendDevice,
  resumeDevice,
  revokeDevice,
  deleteDevice,
  reprovisionDevice,
  moveRoot,
  recordLastSeen,
} from './devices.ts';
import {
  addFleetRootCa,
  addFleetRootCertificates,
  setFleetRootState,
  setFleetRootAdmit,
  setSuccessor,
  distrustKey,
  trustKey,
} from './fleet-root-cas.ts';
import { changeDevices } from './fleet-changes.ts';
import { pruneEvents, recordEvents, turnEventDays } from './events.ts';
import { recordExpiryLook, tellOfEnds } from './expiry.ts';
import { recordGatewayCa, switchGatewayCa, recordGatewayCertificate } from './gateway-cas.ts';
import { completeIdempotencyKey, releaseIdempotencyKey, reserveIdempotencyKey } from './idempotency-keys.ts';
import { useChallenge } from './challenges.ts';
import { acceptInvitation, createFirstAdministrator, offerFirstAdministrator } from './invitations.ts';
import { recordKey, condemnKey, forgetKey, placeKey, eraseKey, forgetKeyCopy, recordKeyExport } from './keys.ts';
import { intendOperatorCertificate, recordOperatorCa, recordOperatorCertificate } from './operator-tls.ts';
import {
  changeOperator,
  changePassword,
  createOperator,
  deleteOperator,
  rehashPassword,
  resetOperator,
} from './operators.ts';
import { setLabels } from './labels.ts';
import { recordProvisioningCa } from './provisioning-cas.ts';
import { recordProvisioningKey, disableProvisioningKey } from './provisioning-keys.ts';
import { grantRole, withdrawRole } from './operator-roles.ts';
import { recordArrival } from './identities.ts';
import { recordSightings } from './manifest-sightings.ts';
import { tallyRefusals, tellRefusals } from './refusal-tallies.ts';
import { pruneRefusals, recordRefusals } from './refusals.ts';
import { pruneReports, storeReport } from './reports.ts';
import { forgetNode, leaveBehind } from './nodes.ts';
import { agreeMasterKey, answerMasterKey, withdrawMasterKeyRotation } from './master-key-agreement.ts';
import { recordMasterKey, beginMasterKeyRotation, endMasterKeyRotation, replaceSealedValues } from './sealed-values.ts';
import {
  addPasskey,
  beginTotp,
  confirmTotp,
  removePasskey,
  removeTotp,
  replaceRecoveryCodes,
} from './second-factors.ts';
import { rememberServerValue } from './server-values.ts';
import { beginSession, endSession, endSessionsOf, recordFailedSignIn, touchSession } from './sessions.ts';
import { recordTicketKey } from './ticket-keys.ts';
import { recordToken, recordTokenUse, revokeToken, revokeTokensOfOperator } from './tokens.ts';
import { importManifest } from './manifests.ts';
import { sweepLine } from './manifest-sweeps.ts';
import { recordNarrowing, recordTrustSet } from './trust-sets.ts';
import { setUpstream, setUpstreams, removeUpstream } from './upstreams.ts';
import { disableGoneWebhook, insertWebhook, removeWebhook, rotateWebhookSecret, updateWebhook } from './webhooks.ts';

/** By name. What is not here cannot be written; each takes its part of a transaction and plain arguments. */
export const writes = {
  chainAuditEntries,
  recordCheckpoint,
  recordRefusedAttempts,
  recordBackup,
  recordRestoration,
  acknowledgeRestoration,
  setAccountFile,
  removeAccountFile,
  insertAccount,
  readyAccount,
  setPolicy,
  removeAccount,
  removeRowsOfAccount,
  removeUnreadyAccounts,
  addHost,
  removeHost,
  admitDevice,
  recordFirstUse,
  recordDeviceChain,
  importAllowList,
  removeFromAllowList,
  beginAllowListImport,
  stageAllowList,
  commitAllowListImport,
  settleAllowListImport,
  intendCertificate,
  completeCertificate,
  abandonCertificate,
  revokeCertificate,
  beginIssuance,
  completeIssuance,
  abandonIssuance,
  settleReply,
  settleInterrupted,
  approveDevice,
  rejectDevice,
  suspendDevice,
  resumeDevice,
  revokeDevice,
  deleteDevice,
  reprovisionDevice,
  moveRoot,
  recordLastSeen,
  changeDevices,
  setLabels,
  addFleetRootCa,
  addFleetRootCertificates,
  setFleetRootState,
  setFleetRootAdmit,
  setSuccessor,
  distrustKey,
  trustKey,
  recordSightings,
  recordGatewayCa,
  switchGatewayCa,
  recordGatewayCertificate,
  reserveIdempotencyKey,
  completeIdempotencyKey,
  releaseIdempotencyKey,
  recordKey,
  condemnKey,
  forgetKey,
  placeKey,
  eraseKey,
  forgetKeyCopy,
  recordKeyExport,
  intendOperatorCertificate,
  recordOperatorCa,
  recordOperatorCertificate,
  offerFirstAdministrator,
  useChallenge,
  createFirstAdministrator,
  createOperator,
  changeOperator,
  deleteOperator,
  resetOperator,
  acceptInvitation,
  changePassword,
  rehashPassword,
  beginSession,
  touchSession,
  endSession,
  endSessionsOf,
  recordFailedSignIn,
  beginTotp,
  confirmTotp,
  removeTotp,
  replaceRecoveryCodes,
  addPasskey,
  removePasskey,
  recordProvisioningCa,
  recordProvisioningKey,
  disableProvisioningKey,
  recordRefusals,
  pruneRefusals,
  pruneReports,
  storeReport,
  forgetNode,
  leaveBehind,
  recordMasterKey,
  agreeMasterKey,
  answerMasterKey,
  withdrawMasterKeyRotation,
  beginMasterKeyRotation,
  endMasterKeyRotation,
  replaceSealedValues,
  rememberServerValue,
  recordTicketKey,
  recordToken,
  revokeToken,
  revokeTokensOfOperator,
  recordTokenUse,
  grantRole,
  withdrawRole,
  recordArrival,
  recordTrustSet,
  recordNarrowing,
  turnEventDays,
  pruneEvents,
  recordEvents,
  tellOfEnds,
  recordExpiryLook,
  tallyRefusals,
  tellRefusals,
  insertWebhook,
  updateWebhook,
  removeWebhook,
  rotateWebhookSecret,
  disableGoneWebhook,
  leaseDeliveries,
  pruneDeliveries,
  queueDeliveries,
  queueTest,
  redeliver,
  releaseDeliveries,
  settleDelivery,
  importManifest,
  sweepLine,
  setUpstream,
  setUpstreams,
  removeUpstream,
};
