// What the device gateway would say to some certificates.

import { answerOf, api, fileBody, type Schema } from '../../api/client.ts';

/** `certificates` are PEM or DER, the leaf first. */
export function explainCertificates(
  account: string,
  certificates: string | Uint8Array<ArrayBuffer>,
): Promise<Schema<'Explanation'>> {
  const bytes = typeof certificates === 'string' ? new TextEncoder().encode(certificates) : certificates;
  return answerOf(
    api.POST('/api/v1/accounts/{account}/explain', { params: { path: { account } }, ...fileBody(bytes) }),
  );
}
