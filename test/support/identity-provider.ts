// An identity provider in the test's own process: oidc-provider, with people whom the test makes up.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Its package has no types; only what stands here is used of it. */
interface Provider {
  callback(): (request: IncomingMessage, response: ServerResponse) => void;
  interactionFinished(request: IncomingMessage, response: ServerResponse, result: object): Promise<void>;
}

/** What the provider tells of somebody, beside who they are. */
export type Person = Readonly<Record<string, unknown>>;

export const clientSecret = 'a secret of the server and its provider, shared';
export const clientId = 'fleetroot';

/** A provider on loopback. Who signs in is whoever `person` names at the time; nobody is asked for a password. */
export class IdentityProvider implements AsyncDisposable {
  readonly people: Record<string, Person> = {};
  /** The `sub` of whoever sits before the browser; null where they cancel. */
  person: string | null = null;
  /** Changes what the token endpoint answers. */
  tamper: (answer: Record<string, unknown>) => void = () => {};
  /** What the token endpoint has answered, the last first. */
  readonly answered: Record<string, unknown>[] = [];
  readonly #server: Server;
  #provider: Provider | null = null;

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', (request, response) => this.#serve(request, response));
  }

  static async open(): Promise<IdentityProvider> {
    const server = createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return new IdentityProvider(server);
  }

  get issuer(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Takes people for these clients from now on, each with where it has them come back to. */
  async serve(redirectUris: Readonly<Record<string, string>>): Promise<void> {
    // @ts-expect-error Its package has no types.
    const { default: Made } = await import('oidc-provider');
    this.#provider = new Made(this.issuer, {
      clients: Object.entries(redirectUris).map(([client_id, uri]) => ({
        client_id,
        client_secret: clientSecret,
        redirect_uris: [uri],
      })),
      claims: { openid: ['sub'], profile: ['preferred_username', 'groups', 'realm_access'], email: ['email'] },
      conformIdTokenClaims: false,
      cookies: { keys: ['a key of the test'] },
      features: { devInteractions: { enabled: false } },
      interactions: { url: () => '/sign-in' },
      pkce: { required: () => true },
      findAccount: (_: unknown, sub: string) => ({
        accountId: sub,
        claims: async () => ({ ...this.people[sub], sub }),
      }),
      async loadExistingGrant({ oidc }: any) {
        const { Grant } = oidc.provider;
        const grant = new Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
        grant.addOIDCScope('openid profile email');
        await grant.save();
        return grant;
      },
    });
  }

  /** Is there no longer, until it serves again: whoever calls gets no answer, or none that is one. */
  goAway(how: 'silent' | 'broken'): void {
    this.#provider = null;
    this.#away = how;
  }

  #away: 'silent' | 'broken' = 'broken';

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const provider = this.#provider;
    if (provider === null) {
      if (this.#away === 'broken') response.writeHead(502).end('Bad gateway');
      return;
    }
    if (request.url?.startsWith('/sign-in')) {
      const result = this.person === null ? { error: 'access_denied' } : { login: { accountId: this.person } };
      void provider.interactionFinished(request, response, result);
      return;
    }
    if (request.url === '/token') this.#watch(response);
    provider.callback()(request, response);
  }

  #watch(response: ServerResponse): void {
    const end = response.end.bind(response) as (body: string) => ServerResponse;
    response.end = ((body: string) => {
      const answer = JSON.parse(body) as Record<string, unknown>;
      this.answered.unshift({ ...answer });
      this.tamper(answer);
      const text = JSON.stringify(answer);
      response.setHeader('content-length', Buffer.byteLength(text));
      return end(text);
    }) as typeof response.end;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
