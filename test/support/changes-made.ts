// The changes that a walk over the API has made, held against the audit log: each operation is in it, and no secret is.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { OperatorAnswer } from './operator-call.ts';

/** They change nothing, or nothing that is not so already when a walk comes to them. */
const changeNothing = [
  'POST /api/v1/accounts/:account/explain',
  'POST /api/v1/custody/check',
  // A question, to be answered by a passkey.
  'POST /api/v1/session/passkey/options',
  // The socket has none.
  'DELETE /api/v1/session',
  // Bulk changes have revoked all there is before: test/journeys/audit-log.test.ts has these by themselves.
  'POST /api/v1/accounts/:account/devices/:device/revoke',
  'POST /api/v1/accounts/:account/certificates/:sha256/revoke',
];
const changing = /^(POST|PUT|PATCH|DELETE) /;
/** The members of replies that hold what only whoever asked may know. */
const secret = /^(token|secret|link|password|private_key|zip|recovery_codes)$/;

/** What was changed by which route. */
export class ChangesMade {
  /** The requests that a route has answered with 2xx. */
  readonly #done = new Map<string, string[]>();
  readonly #secrets: string[] = [];

  /** To be told of every answer. */
  readonly hear = (route: string, { status, headers, json }: OperatorAnswer): void => {
    if (status < 200 || status > 299 || !changing.test(route) || changeNothing.includes(route)) return;
    this.#done.set(route, [...(this.#done.get(route) ?? []), String(headers['x-request-id'])]);
    for (const [name, value] of Object.entries(Object(json) as object)) {
      if (secret.test(name)) this.#secrets.push(...[value].flat().map(String));
    }
  };

  /** Of each route that did something there is an entry of one of its requests at least; a repetition changes nothing. */
  assertAudited(dir: string, secrets: readonly string[]): void {
    using registry = new DatabaseSync(join(dir, 'registry.db'), { readOnly: true });
    const bodies = registry
      .prepare('SELECT body FROM audit_entries')
      .all()
      .map(({ body }) => String(body));
    const requests = new Set(bodies.map((body) => (JSON.parse(body) as { by: { request: string } }).by.request));
    const silent = [...this.#done].filter(([, ids]) => !ids.some((id) => requests.has(id))).map(([route]) => route);
    assert.deepEqual(silent, [], 'these have changed something that the audit log does not tell');
    assert.ok(this.#done.size > 20, `${this.#done.size} routes have done something`);
    for (const body of bodies) {
      assert.doesNotMatch(body, /PRIVATE KEY/);
      for (const each of [...this.#secrets, ...secrets])
        assert.ok(!body.includes(each), 'a secret is in the audit log');
    }
  }
}
