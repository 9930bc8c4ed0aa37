// `device …` of one device and `certificate …`: its state, its certificates. (Of many: fleet-commands.ts.)

import type { ListedCertificateJson } from '../operator/fleet-schemas.ts';
import type { CertificateJson, DeviceDetailsJson, DeviceJson } from '../operator/schemas.ts';
import { account } from './account-commands.ts';
import { at, queryOf } from './client.ts';
import { command } from './command.ts';
import { UsageError } from './failure.ts';
import { type Page, pages, sentences, sheet, table } from './page.ts';
import { choice, instant, optional, repeated, text } from './parameters.ts';

const device = text('DEVICE', 'the exact device ID, or "uuid:" and the device UUID');

type Named = { readonly account: string; readonly device: string };

const devicePath = (given: Named): string => at`/accounts/${given.account}/devices/${given.device}`;

const certificateTable = (certificates: readonly CertificateJson[], empty: string): Page =>
  table(certificates, empty, {
    state: (row) => row.state,
    'not before': (row) => row.not_before,
    'not after': (row) => row.not_after,
    'first used': (row) => row.first_used_at,
    'sha-256': (row) => row.sha256,
  });

const devicePage = (shown: DeviceJson): Page =>
  sheet({
    'device ID': shown.device_id,
    uuid: shown.uuid,
    state: shown.state,
    method: `${shown.method} credentials`,
    'Fleet Root CA': `${shown.fleet_root_ca_name} (${shown.fleet_root_ca})`,
    'may move to': shown.allowed_fleet_root_ca,
    'provisioning key': shown.provisioning_key,
    'may be provisioned again until': shown.reprovision_until,
    'certificate until': shown.certificate_not_after,
    'first seen': shown.first_seen,
    'last seen': shown.last_seen,
    ...(Object.keys(shown.labels).length > 0 && {
      labels: Object.entries(shown.labels).map(([name, value]) => `${name}=${value}`),
    }),
  });

/** Those that shut a device out. */
const destructiveWords: readonly string[] = ['reject', 'suspend', 'revoke'];

/** A command that changes one device and says what came of it. */
const actionCommand = (
  word: 'approve' | 'reject' | 'suspend' | 'resume' | 'revoke' | 'reprovision',
  about: string,
  { asks, says }: { asks?: string; says: (device: DeviceJson) => string },
) =>
  command({
    words: `device ${word}`,
    about,
    arguments: { account, device },
    ...(asks && {
      confirm: { erases: false, question: (given: Named) => `${asks} the device ${given.device} of ${given.account}?` },
    }),
    ...(destructiveWords.includes(word) && { weighed: 'device' }),
    call: (given, { api }) => api.post<DeviceJson>(`${devicePath(given)}/${word}`),
    print: (changed) => sentences(says(changed)),
  });

const saysState = { says: (changed: DeviceJson) => `The device ${changed.device_id} is ${changed.state}.` };

export const deviceCommands = [
  command({
    words: 'device show',
    about: 'Show a device with its certificates and what it reported.',
    arguments: { account, device },
    call: (given, { api }) => api.get<DeviceDetailsJson>(devicePath(given)),
    print: (shown) =>
      pages(
        devicePage(shown),
        certificateTable(shown.certificates, 'It has no certificates.'),
        table(shown.reports, 'It has reported nothing yet.', {
          report: (row) => row.kind,
          received: (row) => row.received_at,
          type: (row) => row.content_type,
          characters: (row) => row.body.length,
        }),
      ),
  }),
  actionCommand('approve', 'Let a pending device in, or the new key of a known one.', saysState),
  actionCommand('reject', 'Turn a pending device away for good, or the new key of a known one.', saysState),
  actionCommand('suspend', 'Keep a device out until it is resumed.', saysState),
  actionCommand('resume', 'Let a suspended device in again.', saysState),
  actionCommand('revoke', 'Turn a device away for good, with every certificate that it has.', {
    asks: 'Turn away for good',
    ...saysState,
  }),
  command({
    words: 'device delete',
    about: 'Forget a device; its certificates stay refused, a new one under its ID is a newcomer.',
    arguments: { account, device },
    confirm: { erases: true, question: (given) => `Delete the device ${given.device} of ${given.account}?` },
    weighed: 'device',
    call: (given, { api }) => api.delete<DeviceJson>(devicePath(given)),
    print: (deleted) => sentences(`The device ${deleted.device_id} is deleted.`),
  }),
  actionCommand(
    'reprovision',
    'Let a wiped device be provisioned once more with shared credentials, within 24 hours.',
    {
      says: (changed) =>
        `The device ${changed.device_id} may be provisioned once more until ${changed.reprovision_until ?? '-'}.`,
    },
  ),
  command({
    words: 'device move-root',
    about: 'Let one device come back under another Fleet Root CA of the account.',
    arguments: { account, device, ca: text('CA', "the Fleet Root CA's ID, name or SHA-256") },
    weighed: 'device',
    call: (given, { api }) => api.post<DeviceJson>(`${devicePath(given)}/move-root`, { fleet_root_ca: given.ca }),
    print: (changed, given) =>
      sentences(`The device ${changed.device_id} may come back with a certificate under ${given.ca}.`),
  }),
  command({
    words: 'certificate list',
    about: 'List the certificates of a device, newest first; or those of all devices of the account, by their ends.',
    arguments: { account, device: optional(device) },
    options: {
      state: repeated(choice(['current', 'superseded', 'pending', 'revoked'], 'those in this state, of all devices')),
      'expires-before': instant('30d', 'those that end before, of all devices'),
      'expires-after': instant('30d', 'those that end then or later, of all devices'),
      'fleet-root': text('CA', 'those under this Fleet Root CA, of all devices'),
      sha256: text('SHA256', 'the one with this SHA-256, or that of its TBSCertificate, of all devices'),
    },
    check: ({ device: one, ...given }) => {
      const filtered =
        given.state.length > 0 ||
        Object.entries(given).some(([name, value]) => name !== 'account' && name !== 'state' && value !== undefined);
      if (one !== undefined && filtered) throw new UsageError('give either DEVICE or a filter of all devices');
    },
    call: (given, { api }): Promise<(CertificateJson & { device_id?: string })[]> =>
      given.device === undefined
        ? api.list<ListedCertificateJson>(
            at`/accounts/${given.account}/certificates` +
              queryOf({
                state: given.state,
                expires_before: given['expires-before'],
                expires_after: given['expires-after'],
                fleet_root_ca: given['fleet-root'],
                sha256: given.sha256,
              }),
          )
        : api.list<CertificateJson>(`${devicePath({ account: given.account, device: given.device })}/certificates`),
    print: (certificates, given) =>
      given.device === undefined
        ? table(certificates, `No device certificate of ${given.account} fits.`, {
            'device id': (row) => row.device_id,
            state: (row) => row.state,
            'not after': (row) => row.not_after,
            'sha-256': (row) => row.sha256,
          })
        : certificateTable(certificates, `The device ${given.device} has no certificates.`),
  }),
  command({
    words: 'certificate revoke',
    about: 'Revoke one certificate of a device; the device may go on with another.',
    arguments: { account, sha256: text('SHA256', 'of the certificate or of its TBSCertificate, in hex') },
    confirm: { erases: false, question: (given) => `Revoke the certificate ${given.sha256} for good?` },
    weighed: 'device',
    call: (given, { api }) =>
      api.post<CertificateJson>(at`/accounts/${given.account}/certificates/${given.sha256}/revoke`),
    print: (revoked) => sentences(`The certificate ${revoked.sha256} is revoked.`),
  }),
];
