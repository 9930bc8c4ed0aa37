// Every named write of a factory's records, as its writer thread finds them by their names.

import {
  abandonCertificate,
  completeCertificate,
  intendCertificate,
  reworkDevice,
  settleInterrupted,
} from './certificates.ts';
import { rememberFact } from './facts.ts';
import { recordKey } from './keys.ts';
import { recordLine, recordLineCa, recordMandate } from './lines.ts';
import { beginLog } from './log.ts';
import { addStation, removeStation } from './stations.ts';
import { addOrder, closeWindow, openWindow } from './windows.ts';

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
  recordLineCa,
  recordMandate,
  beginLog,
  addStation,
  removeStation,
  addOrder,
  closeWindow,
  openWindow,
};
