// A device by the ID that its certificate names: paths cannot name every ID (`.`, or one that begins with `uuid:`).

import { type Answer, answerOf, api } from '../../api/client.ts';
import { texts } from '../../texts.ts';

/** Throws where the account has no such device. */
export async function deviceByItsId(account: string, deviceId: string): Promise<Answer<'listDevices'>[number]> {
  // Of all IDs that begin with it, the ID itself comes first.
  const query = { prefix: deviceId, sort: 'device_id', order: 'asc', limit: 1 } as const;
  const [found] = await answerOf(
    api.GET('/api/v1/accounts/{account}/devices', { params: { path: { account }, query } }),
  );
  if (found?.device_id !== deviceId) throw new Error(texts.refusals.mend.notThere(deviceId));
  return found;
}
