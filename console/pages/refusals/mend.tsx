// The one click that mends a refusal, where there is one; else the way to where it is mended. It is confirmed before it is done.

import { Anchor } from '@mantine/core';
import { Link } from 'wouter';
import { answerOf, api, deviceName, fileBody } from '../../api/client.ts';
import { type OperationName, useMay } from '../../api/session.tsx';
import type { OfAccount } from '../../app.tsx';
import { drawn } from '../../parts/drawn.ts';
import { texts } from '../../texts.ts';
import { AllowMove } from './allow-move.tsx';
import { Confirm } from '../../parts/confirm.tsx';
import { deviceByItsId } from './device-by-id.ts';
import { MendRegister } from './mend-register.tsx';
import { Mending } from './mending.tsx';
import type { ToMend } from './refusal-list.ts';

/** An act on the device that a refusal names. */
interface Act {
  readonly operation: OperationName;
  readonly button: string;
  readonly title: (deviceId: string) => string;
  readonly about: string;
  readonly done: string;
  readonly act: (account: string, deviceId: string) => Promise<unknown>;
}

const said = texts.refusals.mend;

/** Calls an operation of a device, by its ID. */
const toDevice =
  (path: `/api/v1/accounts/{account}/devices/{device}/${'approve' | 'resume' | 'reprovision'}`) =>
  async (account: string, deviceId: string): Promise<unknown> => {
    const { uuid } = await deviceByItsId(account, deviceId);
    return answerOf(api.POST(path, { params: { path: { account, device: deviceName(uuid) } } }));
  };

const accepting = (about: string): Act => ({
  operation: 'approveDevice',
  button: said.accept,
  title: said.acceptTitle,
  about,
  done: said.acceptDone,
  act: toDevice('/api/v1/accounts/{account}/devices/{device}/approve'),
});

const acts: Readonly<Record<string, Act>> = {
  admission_pending: accepting(said.acceptAbout.admission_pending),
  rekey_pending: accepting(said.acceptAbout.rekey_pending),
  device_suspended: {
    operation: 'resumeDevice',
    button: said.resume,
    title: said.resumeTitle,
    about: said.resumeAbout,
    done: said.resumeDone,
    act: toDevice('/api/v1/accounts/{account}/devices/{device}/resume'),
  },
  device_already_registered: {
    operation: 'reprovisionDevice',
    button: said.again,
    title: said.againTitle,
    about: said.againAbout,
    done: said.againDone,
    act: toDevice('/api/v1/accounts/{account}/devices/{device}/reprovision'),
  },
};

const listing: Act = {
  operation: 'importAllowList',
  button: said.list,
  title: said.listTitle,
  about: said.listAbout,
  done: said.listDone,
  act: (account, deviceId) =>
    answerOf(
      api.POST('/api/v1/accounts/{account}/allow-list', {
        params: { path: { account }, query: { all_or_nothing: true } },
        // Quoted, as an ID may have what separates fields (RFC 4180 §2).
        ...fileBody(new TextEncoder().encode(`"${deviceId.replaceAll('"', '""')}"\n`)),
      }),
    ),
};

/** The sentence of the rule, and not a device ID in it, says that it is the allow-list's. */
const ofAllowList = /allow-list[^"]*$/;

/** Where a refusal is mended that no click mends. */
const elsewhere: Readonly<Record<string, readonly [text: string, page: string]>> = {
  provisioning_key_expired: [said.toCredentials, '/credentials'],
  provisioning_key_disabled: [said.toCredentials, '/credentials'],
  provisioning_key_exhausted: [said.toCredentials, '/credentials'],
  network_not_allowed: [said.toCredentials, '/credentials'],
  fleet_root_ca_closed: [said.toRoots, '/fleet-root-cas'],
  fleet_root_ca_disabled: [said.toRoots, '/fleet-root-cas'],
  certificate_not_in_manifest: [said.toFactory, '/factory'],
  device_id_not_allowed: [said.toSettings, '/settings'],
  admission_pending: [said.toPending, '/pending'],
  rekey_pending: [said.toPending, '/pending'],
};

export function Mend({ account, refusal }: OfAccount & { refusal: ToMend }) {
  const may = useMay();
  const { code, rule, device_id: deviceId } = refusal;
  if (code === 'certificate_untrusted') return <MendRegister account={account} refusal={refusal} />;
  if (code === 'device_id_conflict' && deviceId !== null && may('moveDeviceRoot', account)) {
    return (
      <Mending button={said.move} done={said.moveDone}>
        {(close, onDone) => (
          <AllowMove account={account} deviceId={deviceId} rule={rule} onDone={onDone} onClose={close} />
        )}
      </Mending>
    );
  }
  const act = code === 'device_id_not_allowed' && ofAllowList.test(rule) ? listing : acts[code];
  if (act && deviceId !== null && may(act.operation, account)) {
    return (
      <Mending button={act.button} done={act.done}>
        {(close, onDone) => (
          <Confirm
            title={act.title(drawn(deviceId))}
            button={act.button}
            touches={[
              [account, 'devices'],
              [account, 'certificates'],
              [account, 'counts'],
              [account, 'allow-list'],
            ]}
            act={() => act.act(account, deviceId)}
            onDone={onDone}
            onClose={close}
          >
            {act.about}
          </Confirm>
        )}
      </Mending>
    );
  }
  const place = elsewhere[code];
  return place === undefined ? null : (
    <Anchor component={Link} href={`/accounts/${account}${place[1]}`}>
      {place[0]}
    </Anchor>
  );
}
