// The lint: what we issue passes every rule, and each rule stops what it is there to stop.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';

import { lint, LintError, lintRules } from '../../src/issuing/lint.ts';
import { type IssuanceRequest, type Plan, planOf } from '../../src/issuing/request.ts';
import type { SigningCa } from '../../src/issuing/signing-ca.ts';
import { encodeTbsCertificate } from '../../src/issuing/tbs-certificate.ts';
import type { KeyPurpose, KeyRow } from '../../src/registry/tables.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { children, elements, inner, readElement, tags } from '../../src/x509/der.ts';
import {
  bitString,
  element,
  explicit,
  implicit,
  integer,
  nullValue,
  octetString,
  oid,
  printableString,
  sequence,
  set,
  time,
} from '../../src/x509/der-write.ts';
import { extensionOids } from '../../src/x509/extensions.ts';
import { commonName, encodeName } from '../../src/x509/name.ts';
import {
  basicConstraints,
  extendedKeyUsage,
  extension,
  general,
  keyUsage,
  makeCa,
  newKey,
  subjectAltName,
} from '../support/certificate-maker.ts';
import { day, year } from '../support/issuing.ts';
import { someAccount } from '../support/registry.ts';

const now = Date.UTC(2026, 5, 15, 12);
const account = { ...someAccount('acme'), validity_seconds: (10 * year) / 1000 };

function keyRow(purpose: KeyPurpose, public_key: Uint8Array): KeyRow {
  const rest = { custodian: 'software', key_type: 'p256', public_key_sha256: '', remembered: null };
  const times = { created_at: 0, destroyed_at: null, erased_at: null };
  return { id: randomUUID(), account_id: account.id, purpose, public_key, ...rest, exportable: 1, ...times };
}

function caFor(purpose: KeyPurpose): SigningCa {
  const identifier = extension(extensionOids.subjectKeyIdentifier, octetString(Buffer.alloc(20, 7)));
  const shape = { notBefore: now - day, notAfter: now + 20 * year, extensions: [identifier] };
  const { certificate } = makeCa('A CA of ours', shape);
  return { certificate, key: keyRow(purpose, certificate.publicKey.spki) };
}

const fleetRoot = caFor('fleet-root-ca');
const gatewayCa = caFor('gateway-ca');
const leaf = { account, publicKey: newKey().spki };
const requests = {
  device: {
    ...leaf,
    profile: 'device',
    ca: fleetRoot,
    deviceId: 'device-1',
    fleetRootCaId: 'root',
    provisioningKeyId: null,
    validitySeconds: null,
  },
  gateway: { ...leaf, profile: 'gateway', ca: gatewayCa, hosts: ['acme.example', '192.0.2.7', '2001:db8::7'] },
  ca: { profile: 'gateway_ca', account, key: keyRow('gateway-ca', newKey().spki), id: randomUUID() },
} satisfies Record<string, IssuanceRequest>;

type Profile = keyof typeof requests;

/** The parts of a TBSCertificate that a test may have otherwise, by their place in it. */
const place = { version: 0, serial: 1, algorithm: 2, issuer: 3, validity: 4, subject: 5, publicKey: 6, extensions: 7 };

interface Change {
  /** What the plan says otherwise, so that certificate and plan agree on what is wrong. */
  plan?: Partial<Plan>;
  /** Parts written otherwise than the plan says; null leaves one out. */
  parts?: Partial<Record<keyof typeof place, Buffer | null>>;
  /** The list of extensions, changed. */
  extensions?: (list: Buffer[]) => Buffer[];
}

/** The names of the rules that a certificate breaks that is as we make it but for a change. */
function brokenBy(profile: Profile, { plan: planned, parts: changed = {}, extensions }: Change): string[] {
  const plan = { ...planOf(requests[profile], now), ...planned };
  const tbs = encodeTbsCertificate(plan, Buffer.alloc(16, 0x41));
  const parts: (Buffer | null)[] = elements(readElement(tbs).content).map(({ raw }) => raw);
  if (extensions !== undefined) {
    const list = children(inner(readElement(parts[place.extensions]!)), tags.sequence, 'list').map(({ raw }) => raw);
    parts[place.extensions] = explicit(3, sequence(...extensions(list)));
  }
  for (const [name, part] of Object.entries(changed)) parts[place[name as keyof typeof place]] = part;
  const written = sequence(...parts.filter((part) => part !== null));
  const algorithm = parts[place.algorithm]!;
  const certificate = parseCertificate(sequence(written, algorithm, bitString(Buffer.alloc(0))));
  try {
    lint(certificate, plan);
    return [];
  } catch (error) {
    assert.ok(error instanceof LintError);
    for (const rule of error.broken)
      assert.ok(error.message.includes(rule.says) && error.message.includes(rule.section));
    return error.broken.map(({ name }) => name);
  }
}

const utf8Cn = (value: string) => ({ subject: encodeName([{ type: commonName, value }]), commonName: value });
const replaced = (type: string, by: Buffer) => (list: Buffer[]) =>
  list.map((one) => (one.includes(oid(type)) ? by : one));
const identifier = (type: string, value: Buffer) => extension(type, value);

/** What each rule is there to stop. */
const stopped: [rule: string, what: string, profile: Profile, Change][] = [
  ['version', 'version 2', 'device', { parts: { version: explicit(0, integer(1)), extensions: null } }],
  ['serial_number', 'a serial number of 7 octets', 'device', { parts: { serial: integer(Buffer.alloc(7, 1)) } }],
  ['serial_number', 'a serial number of 21 octets', 'device', { parts: { serial: integer(Buffer.alloc(20, 0xff)) } }],
  ['serial_number', 'a negative serial number', 'device', { parts: { serial: element(2, Buffer.alloc(16, 0xfe)) } }],
  ['signature_algorithm', 'ECDSA with SHA-384 by a P-256 key', 'device', { plan: { algorithm: 'ecdsa-sha384' } }],
  ['signature_algorithm', 'RSA by a P-256 key', 'device', { plan: { algorithm: 'rsa-sha256' } }],
  [
    'signature_algorithm',
    'parameters where there are none',
    'device',
    { parts: { algorithm: sequence(oid('1.2.840.10045.4.3.2'), nullValue()) } },
  ],
  ['issuer_name', 'the name in other letters', 'device', { parts: { issuer: utf8Cn('a ca of ours').subject } }],
  ['issuer_name', 'a CA under another name than its own', 'ca', { parts: { issuer: utf8Cn('Another').subject } }],
  [
    'validity_form',
    'a GeneralizedTime of this century',
    'device',
    {
      parts: {
        validity: sequence(time(now - day), element(tags.generalizedTime, Buffer.from('20360612120000Z'))),
      },
    },
  ],
  [
    'validity',
    'another end than planned',
    'device',
    { parts: { validity: sequence(time(now - day), time(now + day)) } },
  ],
  ['validity', 'one that has ended', 'device', { plan: { notAfter: now - 1000 } }],
  ['validity', 'one that begins later', 'device', { plan: { notBefore: now + 1000 } }],
  ['validity_within_issuer', 'an end after its issuer', 'device', { plan: { notAfter: now + 20 * year + 1000 } }],
  ['validity_within_issuer', 'a beginning before its issuer', 'device', { plan: { notBefore: now - day - 1000 } }],
  ['lifetime', 'a gateway certificate of 91 days', 'gateway', { plan: { notAfter: now + 91 * day } }],
  ['lifetime', 'a gateway CA of 21 years', 'ca', { plan: { notAfter: now + 21 * year } }],
  ['subject_name', 'another subject than planned', 'device', { parts: { subject: utf8Cn('device-2').subject } }],
  ['subject_name', 'no subject at all', 'device', { plan: { subject: sequence(), commonName: null } }],
  [
    'subject_name',
    'a PrintableString',
    'device',
    { plan: { subject: sequence(set(sequence(oid(commonName), printableString('device-1')))) } },
  ],
  ['name_lengths', 'a common name of 65 characters', 'device', { plan: utf8Cn('d'.repeat(65)) }],
  ['name_lengths', 'an empty common name', 'device', { plan: utf8Cn('') }],
  [
    'name_lengths',
    'two common names',
    'device',
    { plan: { subject: encodeName(['device-1', 'device-2'].map((value) => ({ type: commonName, value }))) } },
  ],
  ['names_differ', "its issuer's name", 'device', { plan: utf8Cn('A CA of ours') }],
  ['public_key', 'another key than planned', 'device', { parts: { publicKey: newKey().spki } }],
  ['public_key', 'a P-521 key', 'device', { plan: { publicKey: newKey('P-521').spki } }],
  ['public_key', 'an RSA key of 1,024 bits', 'device', { plan: { publicKey: newKey('rsa1024').spki } }],
  ['keys_differ', "its issuer's key", 'device', { plan: { publicKey: fleetRoot.certificate.publicKey.spki } }],
  ['extensions', 'one more', 'device', { extensions: (list) => [...list, extension('1.2.3', nullValue())] }],
  ['extensions', 'one less', 'device', { extensions: (list) => list.slice(1) }],
  [
    'extensions',
    'a keyUsage that is not critical',
    'device',
    { extensions: replaced(extensionOids.keyUsage, extension(extensionOids.keyUsage, bitString(Buffer.of(0x80), 7))) },
  ],
  ['basic_constraints', 'a device that is a CA', 'device', { extensions: (list) => [basicConstraints(true), ...list] }],
  [
    'basic_constraints',
    'a CA of any depth',
    'ca',
    { extensions: replaced(extensionOids.basicConstraints, basicConstraints(true)) },
  ],
  [
    'key_usage',
    'a device that may sign certificates',
    'device',
    { extensions: replaced(extensionOids.keyUsage, keyUsage('digitalSignature', 'keyCertSign')) },
  ],
  [
    'key_usage',
    'a CA that may do what devices do',
    'ca',
    { extensions: replaced(extensionOids.keyUsage, keyUsage('digitalSignature', 'keyCertSign', 'cRLSign')) },
  ],
  [
    'extended_key_usage',
    'a device that may be a server',
    'device',
    { extensions: replaced(extensionOids.extendedKeyUsage, extendedKeyUsage(false, '1.3.6.1.5.5.7.3.1')) },
  ],
  [
    'subject_key_identifier',
    'the identifier of another key',
    'device',
    {
      extensions: replaced(
        extensionOids.subjectKeyIdentifier,
        identifier(extensionOids.subjectKeyIdentifier, octetString(Buffer.alloc(20))),
      ),
    },
  ],
  [
    'authority_key_identifier',
    'the identifier of another issuer',
    'device',
    {
      extensions: replaced(
        extensionOids.authorityKeyIdentifier,
        identifier(extensionOids.authorityKeyIdentifier, sequence(implicit(0, Buffer.alloc(20), false))),
      ),
    },
  ],
  [
    'subject_alternative_names',
    'a host that was not asked for',
    'gateway',
    {
      extensions: replaced(
        extensionOids.subjectAlternativeName,
        subjectAltName(...['acme.example', 'evil.example'].map(general.dns)),
      ),
    },
  ],
  ['subject_alternative_names', 'a wildcard', 'gateway', { plan: { hosts: ['*.example'], commonName: null } }],
  [
    'subject_alternative_names',
    'a host in capitals',
    'gateway',
    { plan: { hosts: ['ACME.example'], commonName: null } },
  ],
  ['subject_alternative_names', 'a common name that is no host of it', 'gateway', { plan: utf8Cn('evil.example') }],
];

describe('the lint stops', () => {
  for (const [rule, what, profile, change] of stopped) {
    test(`${what} (${rule})`, () => {
      const broken = brokenBy(profile, change);
      assert.ok(broken.includes(rule), `only ${broken.join(', ') || 'nothing'} was broken`);
    });
  }

  test('something by every rule that it has', () => {
    const shown = new Set(stopped.map(([rule]) => rule));
    assert.deepEqual(
      lintRules.map(({ name }) => name).filter((name) => !shown.has(name)),
      [],
    );
  });
});

describe('the lint passes', () => {
  for (const profile of Object.keys(requests) as Profile[]) {
    test(`what we make for a ${profile}`, () => assert.deepEqual(brokenBy(profile, {}), []));
  }

  test('a device ID of 64 characters, whatever their size', () => {
    for (const character of ['d', 'é', '车', '🚗']) {
      assert.deepEqual(brokenBy('device', { plan: utf8Cn(character.repeat(64)) }), []);
      assert.deepEqual(brokenBy('device', { plan: utf8Cn(character.repeat(65)) }), ['name_lengths']);
    }
  });

  test('what is signed by P-384 and RSA keys, each by its own algorithm', () => {
    for (const [kind, algorithm] of [
      ['P-384', 'ecdsa-sha384'],
      ['rsa2048', 'rsa-sha256'],
    ] as const) {
      const by = makeCa('A CA of ours', {
        key: newKey(kind),
        notBefore: now - day,
        notAfter: now + 20 * year,
        extensions: [extension(extensionOids.subjectKeyIdentifier, octetString(Buffer.alloc(20, 7)))],
      });
      const issuer = { certificate: by.certificate, key: fleetRoot.key };
      assert.deepEqual(brokenBy('device', { plan: { issuer, algorithm } }), []);
      assert.deepEqual(brokenBy('device', { plan: { issuer } }), ['signature_algorithm']);
    }
  });
});

test('docs/issuance.md tells every rule, and no other', () => {
  const page = readFileSync(new URL('../../docs/issuance.md', import.meta.url), 'utf8');
  const [, table] = page.split('## Lint rules');
  const told = [...table!.split('\n## ')[0]!.matchAll(/^\| `(\w+)` \| (.+) \| (.+) \|$/gm)].map((row) => row.slice(1));
  assert.deepEqual(
    told,
    lintRules.map(({ name, says, section }) => [name, says, section]),
  );
});
