// Every named write of a factory's records, as its writer thread finds them by their names.

import { noteBatchAnswered, noteBatchBegun } from './batches.ts';
import {
  abandonCertificate,
  completeCertificate,
  intendCertificate,
  reworkDevice,
  settleInterrupted,
} from './certificates.ts';
import { rememberFact } from './facts.ts';
import { recordKey } from './keys.ts';
import { acceptSigned, recordLine } from './lines.ts';
import { acceptClock, beginLog, noteExport } from './log.ts';
import { recordRoot, recordSigned } from './roots.ts';
import { addStation, noteServiceCertificate, recordStationCa, removeStation } from './stations.ts';
import { addTpmRoots, removeTpmRoot } from './tpm-roots.ts';
import { addOrder } from './orders.ts';
import { closeWindow, openWindow } from './windows.ts';

/** By name. What is not here cannot be written; each takes its part of a transaction and plain arguments. */
export const writes = {
  abandonCertificate,
  completeCertificate,
  intendCertificate,
  reworkDevice,
  settleInterrupted,
  rememberFact,
  recordKey,
  recordLine,
  acceptSigned,
  recordRoot,
  recordSigned,
  beginLog,
  acceptClock,
  noteExport,
  recordStationCa,
  noteServiceCertificate,
  addStation,
  removeStation,
  addOrder,
  closeWindow,
  openWindow,
  noteBatchBegun,
  noteBatchAnswered,
  addTpmRoots,
  removeTpmRoot,
};
