/** Finds the names and resources that a filter selects. They have small tables of their own, so this comes first. */

import { type Expression, type RawBuilder, type SelectQueryBuilder, type SqlBool, sql } from "kysely";
import type { EventFilter, ResourceTest } from "./filter.ts";
import type { HistoryDatabase } from "./history-database.ts";
import type { Tables } from "./schema.ts";
import { beginsWithOneOf, every, isOneOf, matchesOneOf, some } from "./sql-text.ts";

/** Keys of names or resources: a list if it is short, otherwise the query that finds them. */
export type KeySet =
  | { readonly keys: readonly number[]; readonly few: true }
  | {
      readonly query: RawBuilder<unknown>;
      readonly few: boolean;
      /** Whether a key is in the set, by a look-up of its own; null if there is no such way. */
      readonly holds: ((key: RawBuilder<number>) => RawBuilder<SqlBool>) | null;
    };

const listedKeysMax = 1_000;
/** With this many keys or fewer, looking up the events of each key is faster than scanning all events. */
const fewKeysMax = 20_000;

export interface FilterKeys {
  readonly names: KeySet | null;
  readonly resource: readonly KeySet[];
  readonly related: readonly KeySet[];
  readonly anyResource: readonly KeySet[];
}

export async function keysFor(database: HistoryDatabase, filter: EventFilter): Promise<FilterKeys> {
  const resources = (tests: readonly ResourceTest[]) =>
    Promise.all(
      tests.map((test) =>
        keySetOf(
          resourcesPassing(database, test),
          (key) => sql`exists ${resourcesPassing(database, test, key)}`,
        ),
      ),
    );
  const names = namesWanted(database, filter);
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

/** As `isAmong`, for a few events: looks each key up, where finding all keys of a large set first would take longer. */
export function isAmongLargeSet(column: RawBuilder<number>, set: KeySet): RawBuilder<SqlBool> {
  return "query" in set && !set.few && set.holds !== null ? set.holds(column) : isAmong(column, set);
}

type KeySets = SelectQueryBuilder<Tables, keyof Tables, { key: number }>;

/** @param query selects keys; @param holds see `KeySet` */
export async function keySetOf(
  query: KeySets,
  holds: ((key: RawBuilder<number>) => RawBuilder<SqlBool>) | null = null,
): Promise<KeySet> {
  const found = await query.limit(listedKeysMax + 1).execute();
  if (found.length <= listedKeysMax) return { keys: found.map(({ key }) => key), few: true };
  const further = await query.offset(fewKeysMax).limit(1).execute();
  return { query: sql`${query}`, few: further.length === 0, holds };
}

/** The keys of the names that a filter selects; null if it allows every name. */
function namesWanted({ db, workspace }: HistoryDatabase, filter: EventFilter): KeySets | null {
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

/**
 * The keys of the resources that pass, each once: a resource has a label once. The condition that is probably the narrowest
 * finds them; the rest are checked.
 *
 * @param only looks at this resource alone
 */
function resourcesPassing(
  { db, dialect, workspace }: HistoryDatabase,
  test: ResourceTest,
  only: RawBuilder<number> | null = null,
): KeySets {
  const labelled =
    (label: string, condition: (value: Expression<string>) => RawBuilder<SqlBool>): ConditionOnLabel =>
    (alias) =>
      every([isOneOf(sql.ref(`${alias}.label`), [label]), condition(sql.ref(`${alias}.value`))]);
  /** Whether the resource of a label has another label. */
  const hasLabel = (alias: string, condition: ConditionOnLabel) => {
    const other = `${alias}o`;
    const isSame = sql`${sql.ref(`${other}.resource`)} = ${sql.ref(`${alias}.resource`)}`;
    const isHere = sql`${sql.ref(`${other}.workspace`)} = ${workspace}`;
    const conditions = every([
      isHere as RawBuilder<SqlBool>,
      isSame as RawBuilder<SqlBool>,
      condition(other),
    ]);
    return sql<SqlBool>`exists (select 1 from ${sql.table("labels")} as ${sql.id(other)} where ${conditions})`;
  };

  const { ids, idPrefixes, roles, idsInRoles, labels } = test;
  const conditions: ConditionOnLabel[] = [];
  if (ids.length > 0) conditions.push(labelled(idLabel, (value) => isOneOf(value, ids)));
  if (idsInRoles.length > 0) {
    conditions.push((alias) =>
      some(
        idsInRoles.map(([id, role]) =>
          every([
            labelled(idLabel, (value) => isOneOf(value, [id]))(alias),
            hasLabel(
              alias,
              labelled(roleLabel, (value) => isOneOf(value, [role])),
            ),
          ]),
        ),
      ),
    );
  }
  if (idPrefixes.length > 0)
    conditions.push(labelled(idLabel, (value) => beginsWithOneOf(value, idPrefixes)));
  for (const { label, patterns } of labels)
    conditions.push(labelled(label, (value) => matchesOneOf(value, patterns, dialect)));
  if (roles.length > 0) conditions.push(labelled(roleLabel, (value) => isOneOf(value, roles)));

  const [first = () => sql<SqlBool>`1 = 0`, ...others] = conditions;
  const passes = (alias: string) =>
    every([first(alias), ...others.map((condition) => hasLabel(alias, condition))]);
  const resources =
    only === null
      ? db
          .selectFrom("labels as l")
          .select("l.resource as key")
          .where("l.workspace", "=", workspace)
          .where(passes("l"))
      : db
          .selectFrom("labels as c")
          .select("c.resource as key")
          .where(sql<SqlBool>`+c.workspace = ${workspace}`) // hidden from the index on values: the resource finds them
          .where(sql<SqlBool>`c.resource = ${only}`)
          .where(passes("c"));
  return resources as unknown as KeySets;
}

/** A condition on a label and its value, in the table of labels under some alias. */
type ConditionOnLabel = (alias: string) => RawBuilder<SqlBool>;
