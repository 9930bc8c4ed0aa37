// One attempt to hand a message to the receiver of a webhook.

import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { Outbound } from '../outbound.ts';
import { Problem } from '../problem.ts';

/** How long an attempt may take from the look-up of the name to the end of the answer, in milliseconds. */
const patience = 15_000;
/** What is read of an answer: its status says all. */
const mostRead = 4 * 1024;

/** What is sent, and where. */
export interface Message {
  readonly url: string;
  /** PEM; null for the public roots. */
  readonly ca: string | null;
  readonly id: string;
  /** In whole seconds since 1970. */
  readonly timestamp: number;
  readonly signature: string;
  readonly body: string;
}

/** The status of the answer, or why there was none. */
export type Answer = { readonly status: number } | { readonly status: null; readonly fault: string };

/** Sends a message and waits for the answer; `ending` cuts it short. Never throws for what the receiver does. */
export async function attempt(message: Message, outbound: Outbound, ending: AbortSignal): Promise<Answer> {
  const late = AbortSignal.timeout(patience);
  try {
    return { status: await send(message, outbound, AbortSignal.any([late, ending])) };
  } catch (error) {
    if (late.aborted) return { status: null, fault: `There was no answer within ${patience / 1000} seconds.` };
    return { status: null, fault: faultOf(error) };
  }
}

async function send(message: Message, outbound: Outbound, signal: AbortSignal): Promise<number> {
  const url = outbound.requireUrl(message.url);
  const ca = message.ca === null ? {} : { ca: message.ca };
  const request = (url.protocol === 'https:' ? https : http).request(url, {
    method: 'POST',
    agent: outbound.agent(url, { keepAlive: false, ...ca }),
    signal,
    headers: {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(message.body),
      'user-agent': 'fleetroot',
      'webhook-id': message.id,
      'webhook-timestamp': String(message.timestamp),
      'webhook-signature': message.signature,
    },
  });
  request.end(message.body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  // The answer counts from its head on; who goes on for ever after it is not listened to.
  request.on('error', () => {});
  await readSome(response).catch(() => {});
  request.destroy();
  return response.statusCode ?? 0;
}

async function readSome(response: IncomingMessage): Promise<void> {
  let read = 0;
  for await (const chunk of response) {
    read += (chunk as Buffer).length;
    if (read >= mostRead) return;
  }
}

function faultOf(error: unknown): string {
  if (error instanceof Problem) return error.message;
  const { code } = error as NodeJS.ErrnoException;
  return `The receiver could not be reached (${code ?? 'no HTTP was spoken'}).`;
}
