// `upstream …`: the back ends that an account's devices reach through the gateway.

import type { UpstreamJson } from '../operator/schemas.ts';
import { account } from './account-commands.ts';
import { at } from './client.ts';
import { command } from './command.ts';
import { UsageError } from './failure.ts';
import { type Page, sheet, sentences, table } from './page.ts';
import { choice, duration, text, textFile } from './parameters.ts';

const prefix = text('PREFIX', 'whole path segments, such as /director; the longest that fits is taken');

const upstreamPage = (upstream: UpstreamJson): Page =>
  sheet({
    prefix: upstream.prefix,
    URL: upstream.url,
    rewrite: upstream.rewrite,
    'CA pinned': upstream.ca !== null,
    'client certificate': upstream.certificate !== null,
    host: upstream.host,
    timeout: upstream.timeout,
  });

const upstreamTable = (upstreams: readonly UpstreamJson[], given: { account: string }): Page =>
  table(upstreams, `The account ${given.account} has no back ends: the gateway answers its own calls alone.`, {
    prefix: (row) => row.prefix,
    url: (row) => row.url,
    rewrite: (row) => row.rewrite,
    host: (row) => row.host,
    timeout: (row) => row.timeout,
  });

export const upstreamCommands = [
  command({
    words: 'upstream set',
    about: 'Pass the calls under a path on to a back end.',
    arguments: { account, prefix, url: text('URL', 'of the back end, https or http') },
    options: {
      rewrite: text('PATH', "what replaces the prefix; {device_uuid} stands for the device's UUID"),
      ca: textFile('FILE', 'certificates (PEM) that the back end is checked against'),
      certificate: textFile('FILE', 'certificate (PEM) that the gateway shows to the back end; with --key'),
      key: textFile('FILE', 'its private key (PEM); kept sealed'),
      host: text('NAME', "the Host header, where it is not the URL's"),
      timeout: duration('30s', 'how long the back end may take to answer'),
    },
    check: ({ certificate, key }) => {
      if ((certificate === undefined) !== (key === undefined))
        throw new UsageError('--certificate and --key go together');
    },
    call: ({ account: name, ...upstream }, { api }) => api.put<UpstreamJson>(at`/accounts/${name}/upstreams`, upstream),
    print: upstreamPage,
  }),
  command({
    words: 'upstream list',
    about: 'List the back ends of an account.',
    arguments: { account },
    call: (given, { api }) => api.list<UpstreamJson>(at`/accounts/${given.account}/upstreams`),
    print: upstreamTable,
  }),
  command({
    words: 'upstream remove',
    about: 'Pass the calls under a path on no longer.',
    arguments: { account, prefix },
    weighed: 'fleet',
    call: (given, { api }) => api.delete<UpstreamJson>(at`/accounts/${given.account}/upstreams?prefix=${given.prefix}`),
    print: ({ prefix: removed }) => sentences(`The calls under ${removed} are passed on no longer.`),
  }),
  command({
    words: 'upstream preset',
    about: 'Write the back ends of a known deployment, and its namespace.',
    arguments: {
      account,
      preset: choice(['ota-community'], 'the open-source OTA Community Edition'),
      base: text('BASE', 'URL with {service} where the name of the service goes'),
    },
    weighed: 'fleet',
    call: ({ account: name, preset, base }, { api }) =>
      api.post<UpstreamJson[]>(at`/accounts/${name}/upstreams/preset`, { preset, base }),
    print: upstreamTable,
  }),
];
