/** Which names and resources a filter means: settled on their own tables, before any event is looked at. */

import { type RawBuilder, type SelectQueryBuilder, type SqlBool, sql } from "kysely";
import type { EventFilter, ResourceTest } from "./filter.ts";
import type { Tables } from "./schema.ts";
import { beginsWithOneOf, every, isOneOf, matchesOneOf, some } from "./sql-text.ts";
import type { Store } from "./store.ts";

/** Keys of names or of resources: themselves when there are only some, else the query that finds them. */
export type KeySet =
  | { readonly keys: readonly number[]; readonly few: true }
  | { readonly query: RawBuilder<unknown>; readonly few: boolean };

const listedKeysMax = 1_000;
/** Up to how many keys it is better to look up the events of each than to look through all events. */
const fewKeysMax = 20_000;

export interface FilterKeys {
  readonly names: KeySet | null;
  readonly resource: readonly KeySet[];
  readonly related: readonly KeySet[];
  readonly anyResource: readonly KeySet[];
}

export async function keysFor(store: Store, filter: EventFilter): Promise<FilterKeys> {
  const resources = (tests: readonly ResourceTest[]) =>
    Promise.all(tests.map((test) => keySetOf(resourcesPassing(store, test))));
  const names = namesWanted(store, filter);
  return {
    names: names === null ? null : await keySetOf(names),
    resource: await resources(filter.resource),
    related: await resources(filter.related),
    anyResource: await resources(filter.anyResource),
  };
}

export function isAmong(column: RawBuilder<number>, set: KeySet): RawBuilder<SqlBool> {
  if ("query" in set) return sql`${column} in ${set.query}`;
  return set.keys.length === 0 ? sql`1 = 0` : sql`${column} in (${sql.join(set.keys)})`;
}

type KeySets = SelectQueryBuilder<Tables, keyof Tables, { key: number }>;

async function keySetOf(query: KeySets): Promise<KeySet> {
  const found = await query.limit(listedKeysMax + 1).execute();
  if (found.length <= listedKeysMax) return { keys: found.map(({ key }) => key), few: true };
  const further = await query.offset(fewKeysMax).limit(1).execute();
  return { query: sql`${query}`, few: further.length === 0 };
}

/** The keys of the names asked for, or null when every name will do. */
function namesWanted({ db, workspace }: Store, filter: EventFilter): KeySets | null {
  const { prefixes, names, excludedPrefixes, excludedNames } = filter;
  if ([prefixes, names, excludedPrefixes, excludedNames].every((list) => list.length === 0)) return null;
  const name = sql.ref<string>("n.name");
  let wanted = db.selectFrom("names as n").select("n.key").where("n.workspace", "=", workspace);
  if (prefixes.length > 0) wanted = wanted.where(beginsWithOneOf(name, prefixes));
  if (names.length > 0) wanted = wanted.where(isOneOf(name, names));
  if (excludedPrefixes.length > 0)
    wanted = wanted.where(sql<SqlBool>`not ${beginsWithOneOf(name, excludedPrefixes)}`);
  if (excludedNames.length > 0) wanted = wanted.where(sql<SqlBool>`not ${isOneOf(name, excludedNames)}`);
  return wanted as unknown as KeySets;
}

const idLabel = "prefect.resource.id";
const roleLabel = "prefect.resource.role";

/** The keys of the resources that pass: found by one condition, the likely narrowest, and kept where the others hold. */
function resourcesPassing({ db, dialect, workspace }: Store, test: ResourceTest): KeySets {
  const value = sql.ref<string>("l.value");
  const labelled = (label: string, condition: RawBuilder<SqlBool>) =>
    every([isOneOf(sql.ref("l.label"), [label]), condition]);
  const withLabel = (...conditions: RawBuilder<SqlBool>[]) =>
    db
      .selectFrom("labels as l")
      .select("l.resource")
      .where("l.workspace", "=", workspace)
      .where(every(conditions));

  const { ids, idPrefixes, roles, idsInRoles, labels } = test;
  const conditions: RawBuilder<SqlBool>[] = [];
  if (ids.length > 0) conditions.push(labelled(idLabel, isOneOf(value, ids)));
  if (idsInRoles.length > 0) {
    const pairs = idsInRoles.map(([id, role]) =>
      every([
        labelled(idLabel, isOneOf(value, [id])),
        sql`l.resource in ${withLabel(labelled(roleLabel, isOneOf(value, [role])))}`,
      ]),
    );
    conditions.push(some(pairs));
  }
  if (idPrefixes.length > 0) conditions.push(labelled(idLabel, beginsWithOneOf(value, idPrefixes)));
  for (const { label, patterns } of labels) {
    conditions.push(labelled(label, matchesOneOf(value, patterns, dialect)));
  }
  if (roles.length > 0) conditions.push(labelled(roleLabel, isOneOf(value, roles)));

  const [first = sql<SqlBool>`1 = 0`, ...others] = conditions;
  let resources = db
    .selectFrom("resources as r")
    .select("r.key")
    .where(sql<SqlBool>`+r.workspace = ${workspace}`) // hidden from the indexes: the keys find them
    .where("r.key", "in", withLabel(first));
  for (const condition of others) {
    resources = resources.where(({ exists }) => exists(withLabel(sql`l.resource = r.key`, condition)));
  }
  return resources as unknown as KeySets;
}
