// What the making of a device's certificate keeps to where an operator acts in between, on every backend.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Updateable } from 'kysely';
import { Problem } from '../../src/problem.ts';
import type { Db } from '../../src/registry/database.ts';
import { abandonIssuance, beginIssuance } from '../../src/registry/device-issuance.ts';
import { reprovisionDevice, revokeDevice } from '../../src/registry/devices.ts';
import { setFleetRootState } from '../../src/registry/fleet-root-cas.ts';
import type { ProvisioningKey, Tables } from '../../src/registry/tables.ts';
import { backends, type Home, insertRows, rowsOf, transactionOn } from '../support/registry.ts';

const rows = rowsOf('mine');
const [account, root, key] = [rows.accounts[0]!, rows.fleet_root_cas[0]!, rows.provisioning_keys[0]!];
const account_id = account.id;

for (const { name, home: newHome } of backends) {
  describe(`the making of a device's certificate on ${name}`, () => {
    let home: Home;
    let db: Db;
    let tx: ReturnType<typeof transactionOn>;

    beforeEach(async () => {
      home = newHome();
      db = await home.database();
      await insertRows(db, rows);
      tx = transactionOn(db);
    });
    afterEach(() => home[Symbol.dispose]());

    /** The key was made, which takes seconds where it is RSA; now the making is recorded. */
    const begin = (device_id: string): Promise<unknown> => {
      const {
        sha256: _,
        state,
        created_at,
        first_used_at,
        device_uuid,
        reply,
        counted_use,
        ...row
      } = rows.certificates[0]!;
      const certificate = { ...row, tbs_sha256: `tbs of ${device_id}`, subject_name: device_id };
      return beginIssuance(tx, {
        certificate: { ...certificate, provisioning_key_id: key.id, fleet_root_ca_id: root.id },
      });
    };

    const uses = async (): Promise<number> => {
      const found = db.selectFrom('provisioning_keys').select('uses').where('id', '=', key.id);
      return (await found.executeTakeFirstOrThrow()).uses;
    };
    const ofKey = (change: Partial<ProvisioningKey>) =>
      db.updateTable('provisioning_keys').set(change).where('id', '=', key.id).execute();
    const ofAccount = (change: Updateable<Tables['accounts']>) =>
      db.updateTable('accounts').set(change).where('id', '=', account_id).execute();
    const abandon = (device_id: string) => abandonIssuance(tx, { account_id, tbs_sha256: `tbs of ${device_id}` });

    test('a beginning that comes to nothing gives back the use that it cost', async () => {
      await begin('fresh');
      assert.equal(await uses(), key.uses + 1);
      await abandon('fresh');
      assert.equal(await uses(), key.uses);
      await begin('fresh');
    });

    test('it gives back what it cost itself, whatever the operator has said of the device meanwhile', async () => {
      const device = { account_id, device: `uuid:${rows.devices[0]!.uuid}` };
      const { device_id } = await reprovisionDevice(tx, device);
      await begin(device_id);
      assert.equal(await uses(), key.uses + 1);
      await revokeDevice(tx, device);
      await abandon(device_id);
      assert.equal(await uses(), key.uses);
    });

    for (const [where, code, change] of [
      ['its provisioning key is disabled', 'provisioning_key_disabled', () => ofKey({ disabled_at: 1 })],
      ['its provisioning key has ended', 'provisioning_key_expired', () => ofKey({ not_after: 0 })],
      ['its account is none for tests', 'provisioning_not_offered', () => ofAccount({ kind: 'production' })],
      ['the end of its account has begun', 'not_found', () => ofAccount({ deleted_at: 1 })],
      ['its ID is not on the allow-list', 'device_id_not_allowed', () => ofAccount({ admission: 'allow-list' })],
    ] as const) {
      test(`does not begin where ${where}`, async () => {
        await change();
        await assert.rejects(begin('unwelcome'), (error) => error instanceof Problem && error.code === code);
        const made = db.selectFrom('certificates').select('tbs_sha256').where('subject_name', '=', 'unwelcome');
        assert.deepEqual(await made.execute(), []);
      });
    }

    for (const [state, code] of [
      ['closed', 'fleet_root_ca_closed'],
      ['disabled', 'fleet_root_ca_disabled'],
    ] as const) {
      test(`does not begin once its Fleet Root CA is ${state}, and uses nothing up`, async () => {
        await setFleetRootState(tx, { account_id, fleet_root_ca_id: root.id, state });
        await assert.rejects(begin('late'), (error) => error instanceof Problem && error.code === code);
        assert.equal(await uses(), key.uses);
        await setFleetRootState(tx, { account_id, fleet_root_ca_id: root.id, state: 'active' });
        await begin('late');
      });
    }
  });
}
