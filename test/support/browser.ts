// A browser as far as logins need one: it keeps cookies, follows redirects, and obeys SameSite, Secure and HttpOnly's paths.

import { once } from 'node:events';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly secure: boolean;
  readonly sameSite: string;
}

/** A page, with the address that it was found at. */
export interface Page {
  readonly url: URL;
  readonly status: number;
  readonly type: string;
  readonly text: string;
  readonly json: any;
}

/** Somebody's browser. */
export class Browser {
  /** By host, as cookies are: ports do not tell them apart. */
  readonly #jar = new Map<string, Map<string, Cookie>>();
  readonly #ca: string | Buffer;

  /** `ca` is what it trusts. */
  constructor(ca: string | Buffer) {
    this.#ca = ca;
  }

  /** The cookies that a host would be shown. */
  cookiesOf(host: string): Map<string, Cookie> {
    const known = this.#jar.get(host) ?? new Map<string, Cookie>();
    this.#jar.set(host, known);
    return known;
  }

  /** Opens an address as if it had been typed, and follows where it is sent, until `stop` says so. */
  async open(address: string, stop: (url: URL) => boolean = () => false): Promise<Page> {
    let url = new URL(address);
    let crossSite = false;
    for (let hops = 0; hops < 20; hops += 1) {
      const { page, location } = await this.#get(url, crossSite);
      if (location === null) return page;
      const next = new URL(location, url);
      // A step of a chain that another site has a part in (RFC 6265bis §5.2).
      crossSite ||= next.hostname !== url.hostname;
      url = next;
      if (stop(url)) return { ...page, url };
    }
    throw new Error(`${address} leads in circles`);
  }

  async #get(url: URL, crossSite: boolean): Promise<{ page: Page; location: string | null }> {
    const shown = [...this.cookiesOf(url.hostname).values()].filter(
      ({ secure, sameSite }) => (!secure || url.protocol === 'https:') && (!crossSite || sameSite !== 'strict'),
    );
    const cookie = shown.map(({ name, value }) => `${name}=${value}`).join('; ');
    const headers = { accept: '*/*', ...(cookie && { cookie }) };
    const call =
      url.protocol === 'https:'
        ? requestHttps(url, { headers, ca: this.#ca, agent: false })
        : requestHttp(url, { headers, agent: false });
    const [response] = await once(call.end(), 'response');
    const text = Buffer.concat(await response.toArray()).toString('utf8');
    for (const line of response.headers['set-cookie'] ?? []) this.#keep(url, line);
    const type = String(response.headers['content-type'] ?? '');
    const json = /json/.test(type) ? JSON.parse(text) : null;
    const redirects = response.statusCode >= 300 && response.statusCode < 400;
    return {
      page: { url, status: response.statusCode, type, text, json },
      location: redirects ? (response.headers.location ?? null) : null,
    };
  }

  #keep(url: URL, line: string): void {
    const [pair = '', ...attributes] = line.split(/; */);
    const [name = '', value = ''] = pair.split(/=(.*)/s);
    const said = new Map(
      attributes.map((each): [string, string] => {
        const [key = '', word = ''] = each.toLowerCase().split('=', 2);
        return [key, word];
      }),
    );
    const known = this.cookiesOf(url.hostname);
    const gone = Date.parse(attributes.find((each) => /^expires=/i.test(each))?.slice(8) ?? '') <= Date.now();
    if (gone || value === '') known.delete(name);
    else known.set(name, { name, value, secure: said.has('secure'), sameSite: said.get('samesite') ?? 'lax' });
  }
}
