// An event as a sentence, and where it leads to.

import type { LiveEvent } from '../../live/stream.ts';
import { drawn } from '../../parts/drawn.ts';
import { texts } from '../../texts.ts';

const said = texts.overview.events;
const words = (value: unknown): string => (typeof value === 'string' ? value : '–');
const state = (value: unknown): string => texts.states[words(value) as keyof typeof texts.states] ?? words(value);

/** What an event tells; its type alone where the console does not know it. */
export function sentenceOf({ type, data }: LiveEvent): string {
  const device = typeof data['device_id'] === 'string' ? drawn(data['device_id']) : words(null);
  switch (type) {
    case 'device.added':
    case 'device.key_changed':
    case 'device.deleted':
      return said[type](device);
    case 'device.provisioned':
      return said[data['again'] === true ? 'device.provisionedAgain' : 'device.provisioned'](device);
    case 'device.pending':
      return said[data['waits'] === 'key' ? 'device.pendingKey' : 'device.pending'](device);
    case 'device.refused':
      return said['device.refused'](Number(data['count']), words(data['rule']));
    case 'device.state_changed':
      return said['device.state_changed'](device, state(data['from']), state(data['to']));
    case 'certificate.changed':
      return said['certificate.changed'](device, words(data['state']));
    case 'certificate.expiring':
      return said['certificate.expiring'](words(data['name'] ?? data['id']), Number(data['days']));
    case 'fleet_root_ca.changed':
      return said['fleet_root_ca.changed'](words(data['name'] ?? data['public_key_sha256']));
    case 'factory.stranger':
      return said['factory.stranger'](device, words(data['line_name']));
    case 'manifest.imported':
      return said['manifest.imported'](words(data['line_name']), Number(data['made']));
    case 'manifest.refused':
      return said['manifest.refused'](words(data['line_name']), words(data['rule']));
    case 'provisioning_key.expiring':
      return said['provisioning_key.expiring'](keyOf(data), Number(data['days']));
    case 'provisioning_key.exhausted':
      return said['provisioning_key.exhausted'](keyOf(data));
    case 'gateway_certificate.not_renewed':
      return said['gateway_certificate.not_renewed'](words(data['reason']));
    default:
      return type;
  }
}

const keyOf = (data: LiveEvent['data']): string => words(data['description'] ?? data['provisioning_key']);

/** The address of what an event is about, in an account; null where there is none. */
export function addressOf({ type, data }: LiveEvent, account: string): string | null {
  const of = `/accounts/${account}`;
  if (type === 'device.refused') return `${of}/refusals?code=${encodeURIComponent(words(data['code']))}`;
  if (type === 'device.deleted') return null;
  if (type === 'certificate.expiring' && data['kind'] !== 'device') return `${of}/fleet-root-cas`;
  const uuid = data['uuid'] ?? (type === 'certificate.expiring' ? data['id'] : null);
  if (typeof uuid === 'string') return `${of}/devices/${encodeURIComponent(uuid)}`;
  if (type.startsWith('fleet_root_ca.')) return `${of}/fleet-root-cas`;
  if (type.startsWith('provisioning_key.')) return `${of}/credentials`;
  if (type.startsWith('factory.') || type.startsWith('manifest.')) return `${of}/factory`;
  return type.startsWith('gateway_certificate.') ? `${of}/settings` : null;
}
