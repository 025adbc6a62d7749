/** A map as it is answered: of all automations, or of the neighborhood of one. */

import { type Automation, actionLists } from "../../core/model/automation.ts";
import { compileGlob, type Glob } from "../../core/model/glob.ts";
import type { Hook } from "../../core/model/hook.ts";
import { type CompiledRule, nameText, patternOf } from "../../lint/consequences.ts";
import type { Link } from "../../lint/loops.ts";
import type { ReactionMap } from "../../lint/reaction-map.ts";
import { leavesOf } from "../../lint/triggers.ts";
import { unheardPatterns } from "../../lint/unheard.ts";
import { breathe } from "../../retry/slices.ts";
import { shownTargetOf } from "../../templates/shown-target.ts";
import type { AutomationMap } from "./map-answers.ts";
import { firedName, type MapCounts } from "./map-counts.ts";
import { NameList } from "./name-list.ts";

/** The bounds of an answer: what a page can show, and some megabytes at most. */
export const mapLimits = {
  automations: 10_000,
  events: 10_000,
  links: 20_000,
  hooks: 1_000,
  /** Of one automation. */
  patterns: 100,
  destinations: 100,
  /** Of one neighborhood. */
  neighbors: 1_000,
} as const;

/** How many steps from an automation its neighborhood reaches. */
const neighborhoodSteps = 2;

type Mapped = AutomationMap["automations"][number];
type MappedEvent = AutomationMap["events"][number];

export class MapView {
  readonly #map: ReactionMap;
  readonly #counts: MapCounts | null;
  #isTruncated: boolean;

  /** @param counts null if the history is not known */
  constructor(map: ReactionMap, counts: MapCounts | null) {
    this.#map = map;
    this.#counts = counts;
    this.#isTruncated = !map.isComplete;
  }

  /** @param center the index of an automation whose neighborhood to show; null for all automations */
  async show(center: number | null, hooks: readonly Hook[]): Promise<AutomationMap> {
    const { rules, links, loops } = this.#map;
    const shown = center === null ? this.#first(rules.keys(), mapLimits.automations) : this.#around(center);
    const indexes = [...shown].sort((a, b) => a - b);
    const shownLinks = this.#first(
      indexes.flatMap((from) => (links[from] ?? []).filter(({ to }) => shown.has(to))),
      mapLimits.links,
    );
    const automations: Mapped[] = [];
    for (const index of indexes) {
      await breathe();
      automations.push(this.#automation(index));
    }
    const isShown = (loop: readonly Link[]) => loop.every(({ from }) => shown.has(from));
    return {
      automations,
      events: await this.#events(indexes, shownLinks),
      links: [...shownLinks].map((link) => this.#link(link)),
      loops: loops.filter(isShown).map((loop) => loop.map(({ from }) => this.#idOf(from))),
      hooks: [...this.#first(hooks, mapLimits.hooks)].map(hookView),
      dead: await this.#dead(indexes),
      truncated: this.#isTruncated,
    };
  }

  /** The first so many; notes that there are more. */
  #first<T>(items: Iterable<T>, countMax: number): ReadonlySet<T> {
    const found = new Set<T>();
    for (const item of items) {
      if (found.size === countMax) {
        this.#isTruncated = true;
        break;
      }
      found.add(item);
    }
    return found;
  }

  /** The automations that an automation is linked with, in two steps at most. */
  #around(center: number): ReadonlySet<number> {
    const reached = new Set([center]);
    for (let step = 0; step < neighborhoodSteps; step += 1) {
      const before = new Set(reached);
      for (const { from, to } of this.#map.links.flat()) {
        if (before.has(from)) reached.add(to);
        if (before.has(to)) reached.add(from);
      }
    }
    return this.#first(reached, mapLimits.neighbors);
  }

  #ruleAt(index: number): CompiledRule {
    const rule = this.#map.rules[index];
    if (rule === undefined) throw new RangeError(`there is no automation ${index} on the map`);
    return rule;
  }

  #idOf(index: number): string {
    return this.#ruleAt(index).automation.id;
  }

  #automation(index: number): Mapped {
    const { automation, part } = this.#ruleAt(index);
    const { id, name, enabled } = automation;
    const resourceId = `prefect-cloud.automation.${id}`;
    const leaves = leavesOf(part).map(({ compiled }) => compiled);
    const textsOf = (patterns: readonly Glob[]) => [
      ...this.#first(new Set(patterns.map(({ pattern }) => pattern)), mapLimits.patterns),
    ];
    return {
      id,
      name,
      enabled,
      posture: part.kind === "event" ? part.definition.posture : null,
      expects: textsOf(leaves.flatMap(({ expect }) => orAnything(expect))),
      after: textsOf(leaves.flatMap(({ after }) => after)),
      firings_last_day: this.#counts?.own(firedName, resourceId)?.count ?? null,
      last_fired: this.#counts?.lastFired(resourceId) ?? null,
      never_fires: this.#map.neverFires[index] ?? null,
      destinations: [...this.#first(targetsOf(automation), mapLimits.destinations)],
    };
  }

  #link({ from, to, event }: Link): AutomationMap["links"][number] {
    const { name, resourceId } = event.countedAs;
    return {
      from: this.#idOf(from),
      to: this.#idOf(to),
      event: nameText(event),
      count_last_day: this.#counts?.own(name, resourceId)?.count ?? null,
    };
  }

  async #events(indexes: readonly number[], links: ReadonlySet<Link>): Promise<MappedEvent[]> {
    const named = new Map<string, { readonly glob: Glob; readonly automations: Set<string> }>();
    for (const index of indexes) {
      await breathe();
      const { automation, part } = this.#ruleAt(index);
      for (const { compiled } of leavesOf(part)) {
        for (const glob of [...orAnything(compiled.expect), ...compiled.after]) {
          const known = named.get(glob.pattern);
          if (known !== undefined) known.automations.add(automation.id);
          else if (named.size < mapLimits.events)
            named.set(glob.pattern, { glob, automations: new Set([automation.id]) });
          else this.#isTruncated = true;
        }
      }
    }
    const caused = [...links].flatMap(({ event: { name } }) => (name.kind === "written" ? [name.value] : []));
    const emitted = new NameList(new Map(caused.map((name) => [name, 1])), true);
    const events: MappedEvent[] = [];
    for (const [pattern, { glob, automations }] of named) {
      await breathe();
      const isInternal = isOwnName(glob.prefix) || (glob.prefix !== "" && (await emitted.has(glob)) === true);
      events.push({
        pattern,
        kind: isInternal ? "internal" : "external",
        seen_last_day: (await this.#counts?.lastDay.countOf(glob)) ?? null,
        automations: [...automations],
      });
    }
    return events.sort((a, b) => (a.pattern < b.pattern ? -1 : 1));
  }

  async #dead(indexes: readonly number[]): Promise<AutomationMap["dead"]> {
    const found: AutomationMap["dead"] = [];
    for (const index of indexes) {
      await breathe();
      const { automation, part } = this.#ruleAt(index);
      const { id } = automation;
      const reason = this.#map.neverFires[index] ?? null;
      if (reason !== null) found.push({ id, why: "cannot_fire", reason });
      else if (automation.enabled && this.#counts !== null) {
        const missing = await this.#unheard(part, this.#counts.recorded);
        if (missing !== null) found.push({ id, why: "never_seen", reason: missing });
      }
    }
    return found;
  }

  /** In a sentence, which events never came without which a trigger cannot fire; null if all did, or if that is not known. */
  async #unheard(part: CompiledRule["part"], recorded: NameList): Promise<string | null> {
    const known = new Map<Glob, boolean>();
    for (const { compiled } of leavesOf(part)) {
      for (const glob of [...compiled.expect, ...compiled.after]) {
        known.set(glob, (await recorded.has(glob)) ?? true); // what is not known is not reported
      }
    }
    const missing = unheardPatterns(part, (patterns) => patterns.some((glob) => known.get(glob) !== false));
    if (missing.length === 0) return null;
    const listed = missing.slice(0, listedMax).map((pattern) => JSON.stringify(pattern));
    const others = missing.length > listedMax ? ` or ${missing.length - listedMax} others` : "";
    return `the history holds no event whose name matches ${listed.join(" or ")}${others}`;
  }
}

/** How many patterns a sentence names. */
const listedMax = 5;

const anything = compileGlob("*");

/** A trigger without names expects any event. */
function orAnything(expect: readonly Glob[]): readonly Glob[] {
  return expect.length === 0 ? [anything] : expect;
}

/** Whether every name with this beginning is one that Tripline gives to its own events. */
function isOwnName(prefix: string): boolean {
  return prefix.startsWith("prefect-cloud.automation.") || prefix.startsWith("tripline.");
}

function* targetsOf(automation: Automation): Iterable<string> {
  const seen = new Set<string>();
  for (const action of actionLists.flatMap((list) => automation[list])) {
    const target = shownTargetOf(action, automation.secrets);
    if (target === null || seen.has(target)) continue;
    seen.add(target);
    yield target;
  }
}

function hookView({ name, template }: Hook): AutomationMap["hooks"][number] {
  if (typeof template === "string") return { name, events: null };
  const templates = Array.isArray(template) ? template : [template];
  return { name, events: [...new Set(templates.map(({ event }) => patternOf(event)))] };
}
