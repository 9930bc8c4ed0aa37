// Every named write of the registry, as the writer thread finds them by their names.

import { setAccountFile, removeAccountFile } from './account-files.ts';
import {
  insertAccount,
  readyAccount,
  setPolicy,
  removeAccount,
  removeUnreadyAccounts,
  addHost,
  removeHost,
} from './accounts.ts';
import { admitDevice, recordFirstUse } from './admissions.ts';
import { importAllowList, removeFromAllowList } from './allow-list.ts';
import { intendCertificate, completeCertificate, abandonCertificate, revokeCertificate } from './certificates.ts';
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
  setSuccessor,
  distrustKey,
  trustKey,
} from './fleet-root-cas.ts';
import { recordGatewayCa, switchGatewayCa, recordGatewayCertificate } from './gateway-cas.ts';
import { recordKey, condemnKey, forgetKey, placeKey, eraseKey, forgetKeyCopy, recordKeyExport } from './keys.ts';
import { recordProvisioningCa } from './provisioning-cas.ts';
import { recordProvisioningKey, disableProvisioningKey } from './provisioning-keys.ts';
import { recordRefusals } from './refusals.ts';
import { storeReport } from './reports.ts';
import { recordMasterKey, beginMasterKeyRotation, endMasterKeyRotation, replaceSealedValues } from './sealed-values.ts';
import { rememberServerValue } from './server-values.ts';
import { recordNarrowing, recordTrustSet } from './trust-sets.ts';
import { setUpstream, setUpstreams, removeUpstream } from './upstreams.ts';

/** By name. What is not here cannot be written; each takes its part of a transaction and plain arguments. */
export const writes = {
  setAccountFile,
  removeAccountFile,
  insertAccount,
  readyAccount,
  setPolicy,
  removeAccount,
  removeUnreadyAccounts,
  addHost,
  removeHost,
  admitDevice,
  recordFirstUse,
  importAllowList,
  removeFromAllowList,
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
  addFleetRootCa,
  addFleetRootCertificates,
  setFleetRootState,
  setSuccessor,
  distrustKey,
  trustKey,
  recordGatewayCa,
  switchGatewayCa,
  recordGatewayCertificate,
  recordKey,
  condemnKey,
  forgetKey,
  placeKey,
  eraseKey,
  forgetKeyCopy,
  recordKeyExport,
  recordProvisioningCa,
  recordProvisioningKey,
  disableProvisioningKey,
  recordRefusals,
  storeReport,
  recordMasterKey,
  beginMasterKeyRotation,
  endMasterKeyRotation,
  replaceSealedValues,
  rememberServerValue,
  recordTrustSet,
  recordNarrowing,
  setUpstream,
  setUpstreams,
  removeUpstream,
};
