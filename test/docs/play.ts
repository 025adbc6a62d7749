/** Plays an example: runs its rules in a simulation, line by line, and compares what happens with what it says. */

import type { Core } from "../../src/core/machine/core.ts";
import type { Firing, LoopCut } from "../../src/core/machine/firing.ts";
import { Simulation } from "../../src/core/machine/simulation.ts";
import type { Automation } from "../../src/core/model/automation.ts";
import { automationIdOf } from "../../src/core/model/automation-ids.ts";
import { eventOf } from "../../src/core/model/event.ts";
import type { Micros } from "../../src/core/model/time.ts";
import { formatDiagnostic } from "../../src/rules/diagnostic.ts";
import { readRules } from "../../src/rules/load.ts";
import type { Block, Example } from "./document.ts";
import {
  type ExpectedFiring,
  formatTimelineTime,
  type Happening,
  readTimeline,
  type Timeline,
} from "./timeline.ts";

/** In one go, or with time stepping from deadline to deadline and a restart after every step. */
export type Pace = "in one go" | "restarted at every step";

/** @returns the differences from what the example says, each with its line; none if the example is true */
export function problemsOf(example: Example, file: string, pace: Pace): string[] {
  const automations = rulesOf(example.rules, file);
  const edited = example.edited === null ? [] : rulesOf(example.edited, file);
  const timeline = readTimeline(example.timeline, file);
  const unnamed = timeline.expected.find(({ automation }) => automation === null);
  if (automations.length > 1 && unnamed !== undefined)
    return [`${file}:${unnamed.line}: which of the rules? Put its name in quotes`];
  const play = new Play(automations, edited, timeline, pace);
  for (const { at, happening } of timeline.lines) play.to(at, happening);
  return compare(play, timeline, file);
}

function rulesOf(block: Block, file: string): readonly Automation[] {
  const blankLines = "\n".repeat(block.line - 1); // so that mistakes have the line numbers of the document
  const texts = new Map([[file, blankLines + block.text]]);
  const options = { workspace: "default", env: {}, now: 0 };
  const { automations, diagnostics } = readRules({ texts, diagnostics: [] }, options);
  if (diagnostics.length > 0) throw new Error(diagnostics.map(formatDiagnostic).join("\n"));
  return automations;
}

class Play {
  readonly firings: Firing[] = [];
  readonly loopCuts: LoopCut[] = [];
  readonly #simulation: Simulation;
  readonly #pace: Pace;
  readonly #edited: readonly Automation[];
  readonly #start: Micros;
  #automations: readonly Automation[];
  #entryCount = 0;

  constructor(
    automations: readonly Automation[],
    edited: readonly Automation[],
    { start, lines }: Timeline,
    pace: Pace,
  ) {
    // Like `tripline simulate`: no lateness unless a rule sets one.
    const gaps = lines.flatMap(({ at, happening }) =>
      happening?.kind === "gap" ? [{ from: happening.from, to: at }] : [],
    );
    this.#simulation = new Simulation(automations, { latenessDefault: 0, gaps });
    this.#automations = automations;
    this.#edited = edited;
    this.#pace = pace;
    this.#start = start;
    this.#watchLoopCuts(this.#simulation.core);
    this.#advance(start);
  }

  to(at: Micros, happening: Happening | null): void {
    if (this.#pace === "restarted at every step") this.#advanceByDeadlines(at);
    this.#advance(at);
    if (happening === null || happening.kind === "gap") return;
    const entry = { position: `${++this.#entryCount}-1`, received: at };
    if (happening.kind === "event") {
      const { event, causedBy } = happening;
      if (causedBy.length === 0) this.firings.push(...this.#simulation.step({ received: at, event }));
      else {
        const automationIds = causedBy.map((name) => automationIdOf("default", name));
        const lineage = automationIds.length === 0 ? [] : [`root:before ${event.id}`, ...automationIds];
        this.#simulation.core.apply({ ...entry, kind: "event", event: eventOf(event, at, lineage) });
      }
    } else if (happening.kind === "engine restarts") this.#restart();
    else this.#change(happening, at);
    this.#advance(at);
    if (this.#pace === "restarted at every step") this.#restart();
  }

  #change(happening: Exclude<Happening, { kind: "event" | "gap" }>, at: Micros): void {
    const before = this.#automations;
    if (happening.kind === "disabled" || happening.kind === "enabled") {
      const enabled = happening.kind === "enabled";
      this.#automations = before.map((automation) => ({ ...automation, enabled }));
    } else if (happening.kind === "renamed") {
      this.#automations = before.map((automation) => ({ ...automation, name: happening.name }));
    } else if (happening.kind === "edited") this.#automations = this.#edited;
    else if (happening.kind === "deleted") this.#automations = [];
    else return;
    for (const automation of this.#automations) this.firings.push(...this.#simulation.put(automation, at));
    for (const { id } of before.filter((automation) =>
      this.#automations.every(({ id }) => id !== automation.id),
    )) {
      const position = `${++this.#entryCount}-1`;
      this.#simulation.core.apply({ kind: "automation-delete", position, received: at, automationId: id });
    }
  }

  #advanceByDeadlines(at: Micros): void {
    for (;;) {
      const deadline = this.#simulation.core.nextDeadline();
      if (deadline === null || deadline >= at) return;
      this.#advance(deadline);
      this.#restart();
    }
  }

  #advance(at: Micros): void {
    this.firings.push(...this.#simulation.step({ received: at, event: null }));
  }

  #restart(): void {
    this.#simulation.restart();
    this.#watchLoopCuts(this.#simulation.core);
  }

  /** A simulation reports only firings, so loop cuts are collected here. */
  #watchLoopCuts(core: Core): void {
    const drain = core.drain.bind(core);
    core.drain = () => {
      const drained = drain();
      this.loopCuts.push(...drained.loopCuts);
      return drained;
    };
  }

  /** All firings and loop cuts, in the terms of the notation. */
  *outcomes(): Iterable<Outcome> {
    for (const firing of this.firings) {
      yield {
        at: firing.triggered,
        verb: firing.state === "Triggered" ? "fires" : "resolved",
        automation: firing.automation.name,
        labels: firing.labels,
        late: firing.late,
        firing,
      };
    }
    for (const { at, automation } of this.loopCuts) {
      yield { at, verb: "loop cut", automation: automation.name, labels: {}, late: false, firing: null };
    }
  }

  format({ at, verb, automation, labels, late, firing }: Outcome): string {
    const pairs = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
    const window = firing?.window ?? null;
    const bounds =
      window === null || window.end === null
        ? []
        : [`window ${this.#formatTime(window.start)}..${this.#formatTime(window.end)} count ${window.count}`];
    const parts = [verb, `"${automation}"`, ...pairs, late ? "late" : "", ...bounds];
    return `${this.#formatTime(at)} → ${parts.filter((part) => part !== "").join(" ")}`;
  }

  #formatTime(at: Micros): string {
    return formatTimelineTime(at, this.#start);
  }
}

interface Outcome extends Pick<ExpectedFiring, "at" | "verb" | "labels" | "late"> {
  readonly automation: string;
  readonly firing: Firing | null;
}

/** What the example does not list must not happen. The order of what happens at the same time does not matter. */
function compare(play: Play, { lines, expected }: Timeline, file: string): string[] {
  const outcomes = [...play.outcomes()];
  const missing: ExpectedFiring[] = [];
  for (const firing of expected) {
    const found = outcomes.findIndex((outcome) => isAsExpected(outcome, firing));
    if (found === -1) missing.push(firing);
    else outcomes.splice(found, 1);
  }
  const lineAt = (at: Micros): number => (lines.findLast((line) => line.at <= at) ?? lines[0])?.line ?? 0;
  return [
    ...missing.map(({ line, written }) => `${file}:${line}: it does not happen: ${written}`),
    ...outcomes.map(
      (outcome) => `${file}:${lineAt(outcome.at)}: it happens instead: ${play.format(outcome)}`,
    ),
  ];
}

function isAsExpected({ firing, ...outcome }: Outcome, expected: ExpectedFiring): boolean {
  const { at, verb, automation, labels, late, by, from, window, count } = expected;
  if (outcome.at !== at || outcome.verb !== verb || outcome.late !== late) return false;
  if (automation !== null && outcome.automation !== automation) return false;
  if (verb !== "loop cut" && textOf(outcome.labels) !== textOf(labels)) return false;
  const children = firing?.firings.map(({ event }) => event?.id ?? null);
  return (
    (by === undefined || by === (firing?.event?.id ?? null)) &&
    (from === undefined || textOf(from) === textOf(children)) &&
    (window === undefined || textOf(window) === textOf([firing?.window?.start, firing?.window?.end])) &&
    (count === undefined || count === firing?.window?.count)
  );
}

/** The same text for equal values. The order of labels does not matter. */
function textOf(value: unknown): string {
  const isLabels = typeof value === "object" && value !== null && !Array.isArray(value);
  return JSON.stringify(isLabels ? Object.entries(value).sort() : value);
}
