/** Runs the core over a timeline, as `tripline simulate` and the engine do, and formats its firings. */

import { Core } from "../../src/core/machine/core.ts";
import type { Firing, TriggerFiring } from "../../src/core/machine/firing.ts";
import type { EventEntry, LogEntry } from "../../src/core/machine/log-entry.ts";
import { type Automation, canonicalJson } from "../../src/core/model/automation.ts";
import { eventOf } from "../../src/core/model/event.ts";
import { seenFor } from "../../src/core/model/limits.ts";
import { formatTime, type Micros, second } from "../../src/core/model/time.ts";
import { withTriggerIds } from "../../src/core/model/trigger.ts";
import { type AnyAutomation, type AnyCase, start } from "./anything.ts";
import { type NaiveFiring, type TimelineLine, timeOf } from "./naive/naive.ts";

export type Step = LogEntry | { readonly kind: "tick"; readonly received: Micros };

/** What happens between two lines. */
export type Interruption = "none" | "drain" | "restart";

export class CoreRun {
  readonly #fired: Firing[] = [];
  /** The shard's state, as the engine would have committed it. */
  readonly state = new Map<string, string>();
  readonly #options: { readonly latenessDefault: Micros };
  readonly #received: EventEntry[] = [];
  #core: Core;

  constructor(lateness: Micros) {
    this.#options = { latenessDefault: lateness };
    this.#core = new Core(this.#options);
  }

  take(step: Step): void {
    if (step.kind === "tick") {
      this.#core.advance(step.received);
      return;
    }
    if (step.kind === "event") this.#received.push(step);
    this.#core.apply(step);
  }

  advance(watermark: Micros): void {
    this.#core.advance(watermark);
  }

  get watermark(): Micros {
    return this.#core.watermark;
  }

  /** As it is now: after a restart it is another one. */
  get core(): Core {
    return this.#core;
  }

  nextDeadline(): Micros | null {
    return this.#core.nextDeadline();
  }

  /** Starts from `state`, as a program that has seen these events. */
  restoreFrom(seen: readonly (readonly [id: string, received: Micros])[]): void {
    this.#core = Core.restore(this.state, this.#options);
    for (const [id, received] of seen) this.#core.markSeen(id, received, "");
  }

  interrupt(interruption: Interruption): void {
    if (interruption === "none") return;
    this.#drain();
    if (interruption === "drain") return;
    const { watermark } = this.#core;
    // Redis returns the fields of a hash in any order, and some of them twice. The order of writing would hide code that
    // relies on it.
    const fields = [...this.state].reverse();
    this.#core = Core.restore([...fields, ...fields.slice(0, 5)], this.#options);
    const { seenUntil } = this.#core;
    const first = this.#received.findIndex(({ position }) => position === seenUntil) + 1;
    for (const { event, received, position } of this.#received.slice(first)) {
      if (received >= watermark - seenFor) this.#core.markSeen(event.id, received, position);
    }
  }

  /** Everything that has fired so far. */
  fired(): readonly Firing[] {
    this.#drain();
    return this.#fired;
  }

  #drain(): void {
    const { firings, dirty } = this.#core.drain();
    for (const { field, value } of dirty) {
      if (value === null) this.state.delete(field);
      else this.state.set(field, value);
    }
    this.#fired.push(...firings);
  }
}

/** The firings of a whole case. `interruptions` says what happens after each step; it starts over at its end. */
export function firingsOf(
  scenario: AnyCase,
  interruptions: readonly Interruption[] = ["none"],
): readonly Firing[] {
  const run = new CoreRun(scenario.lateness);
  for (const [index, step] of stepsOf(scenario).entries()) {
    run.take(step);
    run.interrupt(interruptions[index % interruptions.length] ?? "none");
  }
  run.advance(scenario.until);
  return run.fired();
}

/** The firings of a whole case, as simulate shows them. */
export function coreFirings(scenario: AnyCase, interruptions?: readonly Interruption[]): NaiveFiring[] {
  return firingsOf(scenario, interruptions).map((firing) => plain(firing.automation.name, firing));
}

function plain(automation: string, firing: TriggerFiring): NaiveFiring {
  const { triggered, happened, labels, event, state, window, late } = firing;
  // An absence happens when its window ends, an arrival always before that.
  const absent = state === "Triggered" && window !== null && window.end === happened;
  return {
    automation,
    triggered,
    labels,
    event: event?.id ?? null,
    state,
    window: absent ? { start: window.start, end: happened, count: window.count } : null,
    late,
    firings: firing.firings.map((part) => plain(automation, part)),
  };
}

/** The log of a case: the automations are created when its first line is received. */
export function stepsOf(
  { automations, timeline }: Pick<AnyCase, "automations" | "timeline">,
  firstPosition = 1,
): Step[] {
  const [first] = timeline;
  if (first === undefined) return [];
  const steps: Step[] = [];
  const position = () => `${steps.length + firstPosition}-0`;
  for (const automation of automations) {
    const received = timeOf(first);
    steps.push({ kind: "automation-put", position: position(), received, automation: stored(automation) });
  }
  for (const line of timeline) steps.push(stepOf(line, position()));
  return steps;
}

/**
 * Firings as text, with times in seconds since the start, sorted so that they can be compared: what different keys and
 * automations do at the same time has no order.
 */
export function formatFirings(firings: readonly NaiveFiring[]): string {
  const sortKey = ({ automation, labels }: NaiveFiring) => `${automation} ${canonicalJson(labels)}`;
  return firings
    .toSorted((a, b) => {
      if (sortKey(a) !== sortKey(b)) return sortKey(a) < sortKey(b) ? -1 : 1;
      return a.triggered - b.triggered;
    })
    .map((firing) => `${seconds(firing.triggered)}  ${firing.automation}${formatDetails(firing)}`)
    .join("\n");
}

function formatDetails({ labels, event, state, window, late, firings }: NaiveFiring): string {
  const span = window && `${window.count} in [${seconds(window.start)}, ${seconds(window.end)})`;
  const parts = firings.map((part) => `\n    ${seconds(part.triggered)}${formatDetails(part)}`);
  const words = ["", canonicalJson(labels), event?.slice(-3) ?? "-", state, span ?? "", late ? "late" : ""];
  return words.join("  ").trimEnd() + parts.join("").replaceAll("\n", "\n  ");
}

function seconds(time: Micros): number {
  return (time - start) / second;
}

/** Firings as text with everything they have: ids, windows and the firings that they consist of. */
export function formatFiringsInFull(firings: readonly TriggerFiring[]): string {
  return firings
    .map(({ id, triggerId, triggered, happened, event, window, late, firings: parts, ...rest }) =>
      JSON.stringify([
        id,
        triggerId,
        triggered,
        happened,
        event?.id,
        window,
        late,
        rest.labels,
        rest.state,
      ]).concat(`\n${formatFiringsInFull(parts)}`.replaceAll("\n", "\n  ")),
    )
    .join("\n");
}

export function formatCase({ automations, timeline, until, lateness }: AnyCase): string {
  const lines = timeline.map((line) => {
    const time = seconds(timeOf(line));
    if ("tick" in line) return `${time}  tick`;
    if ("beat" in line) return `${time}  beat`;
    if ("put" in line) return `${time}  put ${line.put.enabled ? "" : "(disabled) "}${brief(line.put)}`;
    if ("remove" in line) return `${time}  remove ${line.remove.slice(-3)}`;
    const event = eventOf(line, timeOf(line));
    const occurred = event.occurred === event.received ? "" : ` (occurred ${seconds(event.occurred)})`;
    const follows = event.follows === null ? "" : ` follows ${event.follows.slice(-3)}`;
    const related = line.related.map((resource) => Object.values(resource).join("/")).join(" ");
    return `${time}${occurred}  ${line.event}  id ${line.id.slice(-3)}${follows}  ${Object.values(line.resource).join("/")}  ${related}`;
  });
  const head = `lateness ${lateness / second} s, from ${formatTime(start)} until ${seconds(until)}`;
  return [head, ...automations.map(brief), ...lines].join("\n");
}

function brief({ id = "", name, trigger }: AnyAutomation | { id?: string; name: string; trigger: unknown }) {
  return `${name} [${id.slice(-3)}] ${JSON.stringify(trigger)}`;
}

function stepOf(line: TimelineLine, position: string): Step {
  const received = timeOf(line);
  if ("tick" in line) return { kind: "tick", received };
  if ("beat" in line) return { kind: "beat", position, received };
  if ("put" in line) {
    return { kind: "automation-put", position, received, automation: stored(line.put as AnyAutomation) };
  }
  if ("remove" in line) return { kind: "automation-delete", position, received, automationId: line.remove };
  return { kind: "event", position, received, event: eventOf(line, received) };
}

function stored(automation: AnyAutomation): Automation {
  const trigger = withTriggerIds(automation.trigger, (path) => `${automation.id}/${path}`);
  return { ...automation, trigger, source: { kind: "api" }, secrets: {}, created: start, updated: start };
}
