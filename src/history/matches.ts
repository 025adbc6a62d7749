/** Matches events against filters in memory, for live feeds. The result is the same as that of the SQL in `matching.ts`. */

import type { Event, Resource } from "../core/model/event.ts";
import { compileGlob } from "../core/model/glob.ts";
import { includes } from "../core/model/specification.ts";
import { type Micros, parseTime } from "../core/model/time.ts";
import type { EventFilter, ResourceTest } from "./filter.ts";
import { comparable, comparableLabels, searchTextOf } from "./text.ts";

/** When the event occurred according to its sender, even if that is in the future. */
export function occurredOf(event: Event): Micros {
  return parseTime(event.wire.occurred) ?? event.occurred;
}

/** Whether the event passes every condition of the filter. `distinct` and `order` do not apply to a single event. */
export function matchesFilter(filter: EventFilter, event: Event): boolean {
  let matches = compiled.get(filter);
  if (matches === undefined) {
    matches = compileFilter(filter);
    compiled.set(filter, matches);
  }
  return matches(event);
}

type Predicate<T> = (value: T) => boolean;

const compiled = new WeakMap<EventFilter, Predicate<Event>>();

function compileFilter(filter: EventFilter): Predicate<Event> {
  const { prefixes, names, excludedPrefixes, excludedNames, ids, text } = filter;
  const resource = filter.resource.map(compileTest);
  const related = filter.related.map(compileTest);
  const anyResource = filter.anyResource.map(compileTest);

  const matchesName: Predicate<string> = (name) =>
    (prefixes.length === 0 || prefixes.some((prefix) => name.startsWith(prefix))) &&
    (names.length === 0 || names.includes(name)) &&
    !excludedPrefixes.some((prefix) => name.startsWith(prefix)) &&
    !excludedNames.includes(name);

  const matchesResources: Predicate<Event> = (event) => {
    if (resource.length + related.length + anyResource.length === 0) return true;
    const primary = comparableLabels(event.resource);
    const others = event.related.map(comparableLabels);
    return (
      resource.every((passes) => passes(primary)) &&
      related.every((passes) => others.some(passes)) &&
      anyResource.every((passes) => passes(primary) || others.some(passes))
    );
  };

  const matchesText: Predicate<Event> = (event) => {
    if (text.any.length + text.all.length + text.none.length === 0) return true;
    const searched = searchTextOf(event);
    return (
      (text.any.length === 0 || text.any.some((term) => searched.includes(term))) &&
      text.all.every((term) => searched.includes(term)) &&
      !text.none.some((term) => searched.includes(term))
    );
  };

  return (event) => {
    const occurred = occurredOf(event);
    return (
      filter.since <= occurred &&
      occurred <= filter.until &&
      (ids.length === 0 || ids.includes(event.id)) &&
      matchesName(comparable(event.name)) &&
      matchesResources(event) &&
      matchesText(event)
    );
  };
}

function compileTest({ ids, idPrefixes, roles, idsInRoles, labels }: ResourceTest): Predicate<Resource> {
  const specification = labels.map(({ label, patterns }) => ({ label, patterns: patterns.map(compileGlob) }));
  return (resource) => {
    const id = resource.get("prefect.resource.id");
    const role = resource.get("prefect.resource.role");
    return (
      (ids.length === 0 || ids.some((wanted) => wanted === id)) &&
      (idPrefixes.length === 0 || idPrefixes.some((prefix) => id?.startsWith(prefix))) &&
      (roles.length === 0 || roles.some((wanted) => wanted === role)) &&
      (idsInRoles.length === 0 ||
        idsInRoles.some(([wantedId, wantedRole]) => wantedId === id && wantedRole === role)) &&
      includes(specification, resource)
    );
  };
}
