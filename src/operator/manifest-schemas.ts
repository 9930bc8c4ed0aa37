// The operator API's manifests: lines, what they made, and what does not fit.

import { type Static, Type } from 'typebox';
import { manifestStandings } from '../registry/manifest-reconciliation.ts';
import { closed, instant, line, nullable, PageQuery, sha256, uuid } from './schemas.ts';

const count = Type.Integer({ minimum: 0 });
const number = Type.Integer({ minimum: 0, description: 'Of an entry of the log of the line.' });
const text = Type.String();

/** What came of a manifest. */
export const ImportedManifestSchema = Type.Object(
  {
    line: uuid,
    line_name: text,
    site: nullable(text),
    fleet_root_ca: uuid,
    first: nullable({ ...number, description: 'The first entry that was new; null where none was.' }),
    last: { ...number, description: 'The last entry that is known of the line.' },
    made: count,
    withdrawn: count,
    revoked: { ...count, description: 'Of those withdrawn: devices had them, and have lost them now.' },
    beyond: { ...count, description: 'Of those made: their mandate does not cover them.' },
  },
  closed,
);

const counts = {
  made: count,
  withdrawn: count,
  seen: { ...count, description: 'A device has come with it.' },
  missing: { ...count, description: 'Neither seen nor withdrawn.' },
};

export const FactoryLineSchema = Type.Object(
  {
    id: uuid,
    name: text,
    site: nullable(text),
    fleet_root_ca: uuid,
    public_key_sha256: sha256,
    last: { ...number, description: 'The last entry that is known: the next export begins after it.' },
    complete_to: { ...instant, description: 'What was made until then is accounted for.' },
    imported_at: instant,
  },
  closed,
);

export const ManifestCertificateSchema = Type.Object(
  {
    device_id: text,
    tbs_sha256: sha256,
    public_key_sha256: sha256,
    line: uuid,
    number,
    order: text,
    batch: nullable(text),
    station: text,
    proof: Type.Enum(['station', 'tpm'], { description: 'What was proved when it was made.' }),
    made_at: instant,
    withdrawn_at: nullable(instant),
    seen_at: nullable(instant),
    came_at: nullable({ ...instant, description: 'When a device last came with it although it was withdrawn.' }),
    shares: Type.Union([Type.Enum(['device_id', 'public_key']), Type.Null()], {
      description: 'What another certificate, of any line, has too.',
    }),
    beyond: Type.Union([Type.Enum(['mandate', 'quota', 'order', 'pattern', 'end']), Type.Null()], {
      description: 'What its mandate does not cover.',
    }),
  },
  closed,
);

export const FactoryStrangerSchema = Type.Object(
  {
    device_id: text,
    tbs_sha256: sha256,
    public_key_sha256: sha256,
    line: uuid,
    first_seen: instant,
    last_seen: instant,
    admitted: Type.Boolean({ description: 'Whether it was let in, by its chain alone.' }),
  },
  closed,
);

const finding = <T extends typeof ManifestCertificateSchema | typeof FactoryStrangerSchema>(
  schema: T,
  description: string,
) => Type.Object({ count, first: Type.Array(schema, { maxItems: 100 }) }, { ...closed, description });

export const ReconciliationSchema = Type.Object(
  {
    ...counts,
    lines: Type.Array(
      Type.Object(
        {
          ...FactoryLineSchema.properties,
          ...counts,
          mandates: Type.Array(
            Type.Object(
              {
                id: uuid,
                quota: count,
                used: { ...count, description: 'More than the quota: the line has made more than it may.' },
                order: nullable(text),
                device_id_pattern: text,
                not_after: instant,
              },
              closed,
            ),
          ),
        },
        closed,
      ),
    ),
    orders: Type.Array(Type.Object({ line: uuid, order: text, ...counts }, closed)),
    never_seen: finding(ManifestCertificateSchema, 'Made, not withdrawn, and no device has come with it.'),
    coming: finding(ManifestCertificateSchema, 'Withdrawn, and a device still comes with it.'),
    shared: finding(ManifestCertificateSchema, 'Another certificate, of any line, has the same device ID or key.'),
    beyond: finding(ManifestCertificateSchema, 'The mandate that it is charged to does not cover it.'),
    strangers: finding(FactoryStrangerSchema, 'Came under the CA of a line, and stands in no manifest of it.'),
    unaccounted: finding(FactoryStrangerSchema, 'The same, but may stand in the next manifest.'),
  },
  closed,
);

export const ReconciliationQuery = Type.Object({ order: Type.Optional(line) }, closed);
export const ManifestCertificatesQuery = Type.Object(
  {
    ...PageQuery.properties,
    order: Type.Optional(line),
    standing: Type.Optional(
      Type.Enum([...manifestStandings], {
        description:
          '`missing`: never seen; `coming`: withdrawn, and it came; `shared`, `beyond`: as in the reconciliation.',
      }),
    ),
  },
  closed,
);

export const ManifestStrangersQuery = Type.Object(
  {
    ...PageQuery.properties,
    standing: Type.Optional(
      Type.Enum(['strangers', 'unaccounted'], { description: 'As in the reconciliation; `strangers` unless given.' }),
    ),
  },
  closed,
);

export type ImportedManifestJson = Static<typeof ImportedManifestSchema>;
export type FactoryLineJson = Static<typeof FactoryLineSchema>;
export type ManifestCertificateJson = Static<typeof ManifestCertificateSchema>;
export type FactoryStrangerJson = Static<typeof FactoryStrangerSchema>;
export type ReconciliationJson = Static<typeof ReconciliationSchema>;
