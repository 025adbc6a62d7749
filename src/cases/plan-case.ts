/** Turns the definition of a case into one that is ready to run, and reports the mistakes that a schema cannot find. */

import type { Automation } from "../core/model/automation.ts";
import { isUuid, normalizeUuid } from "../core/model/event.ts";
import { nearMiss } from "../core/model/near-miss.ts";
import { formatDuration, formatTime, type Micros } from "../core/model/time.ts";
import type { Place } from "../rules/diagnostic.ts";
import { listed } from "../rules/mistake-message.ts";
import type { Case, CaseStep, ExpectedFiring } from "./case.ts";
import {
  type CaseDefinition,
  type ExpectationDefinition,
  instantOf,
  microsOf,
  type StepDefinition,
  type When,
} from "./case-schema.ts";

/** More than a year of hourly events. */
const stepCountMax = 10_000;

/** Reports a problem at a path inside the case. */
export type ReportProblem = (path: readonly (string | number)[], message: string) => void;

export interface PlanContext {
  readonly file: string;
  readonly start: Micros;
  readonly lateness: Micros;
  /** The automations under test. */
  readonly automations: readonly Automation[];
  /** The place of a part of the case. */
  readonly placeOf: (path: readonly (string | number)[]) => Place;
  readonly report: ReportProblem;
}

/** @returns the case. Do not use it if mistakes were reported */
export function planCase(definition: CaseDefinition, context: PlanContext): Case {
  return new Planner(context).plan(definition);
}

class Planner {
  readonly #context: PlanContext;

  constructor(context: PlanContext) {
    this.#context = context;
  }

  plan(definition: CaseDefinition): Case {
    const { file, start, lateness, automations, placeOf } = this.#context;
    const steps = this.#steps(definition.steps);
    const expected = this.#expected(definition.expect);
    this.#checkEventNames(definition);
    const latest = Math.max(start, steps.at(-1)?.at ?? start, expected.at(-1)?.at ?? start);
    let end = latest;
    if (definition.until !== undefined) {
      end = this.#instant(definition.until, ["until"]);
      if (end < latest) {
        const found = `${this.#offset(end)} is before the last step or firing, at ${this.#offset(latest)}`;
        this.#context.report(["until"], `until: ${found}; write a later time`);
      }
    }
    const { name } = definition;
    return { file, place: placeOf([]), name, automations, lateness, start, end, steps, expected };
  }

  #steps(definitions: readonly StepDefinition[]): CaseStep[] {
    const { start, report } = this.#context;
    const steps: CaseStep[] = [];
    let above = start; // a step without a time happens together with the one above it
    for (const [stepIndex, definition] of definitions.entries()) {
      const path = ["steps", stepIndex] as const;
      const { at: when, occurred: whenOccurred, received: whenReceived } = definition;
      const at = when === undefined ? above : this.#instant(when, [...path, "at"]);
      // An event may have occurred before the case starts, but it cannot arrive then.
      const occurred = whenOccurred === undefined ? at : instantOf(whenOccurred, start);
      const received = whenReceived === undefined ? at : this.#instant(whenReceived, [...path, "received"]);
      if (definition.event !== undefined && whenReceived !== undefined && received < occurred) {
        const found = `${this.#offset(received)} is before it occurred, at ${this.#offset(occurred)}`;
        const remedy = "for a sender whose clock runs ahead, write at: and a later occurred:";
        report([...path, "received"], `received: ${found}; ${remedy}`);
      }
      const first = definition.event === undefined ? at : received;
      const repeats = this.#repeats(definition, whenReceived === undefined ? first : occurred, path);
      if (steps.length + repeats.length > stepCountMax) {
        report(path, `the case has more than ${stepCountMax} steps, including repetitions; make it shorter`);
        break;
      }
      for (const [index, shift] of repeats.entries()) {
        const fields = { at: first + shift, stepIndex };
        const suffix = index === 0 && repeats.length === 1 ? "" : `#${index + 1}`;
        steps.push({ ...fields, ...this.#effectOf(definition, stepIndex, suffix, occurred + shift) });
      }
      above = first;
    }
    return steps.sort((a, b) => a.at - b.at);
  }

  #effectOf(definition: StepDefinition, stepIndex: number, suffix: string, occurred: Micros) {
    const { event, resource, related = [], payload = {}, id, follows, disable, enable } = definition;
    if (event !== undefined) {
      const wire = {
        occurred: formatTime(occurred),
        event,
        resource: resource ?? {},
        related,
        payload,
        id: id === undefined ? `#${stepIndex + 1}${suffix}` : `${eventId(id)}${suffix}`,
        follows: follows === undefined ? null : eventId(follows),
      };
      return { kind: "event", event: wire, isNamed: id !== undefined } as const;
    }
    const names = disable ?? enable;
    if (names === undefined) return { kind: "restart" } as const;
    const key = disable === undefined ? "enable" : "disable";
    const automationIds = names.flatMap((name) => {
      const found = this.#automation(name, ["steps", stepIndex, key]);
      return found === null ? [] : [found.id];
    });
    return { kind: "switch", enabled: disable === undefined, names, automationIds } as const;
  }

  #expected(definitions: readonly ExpectationDefinition[]): ExpectedFiring[] {
    const { placeOf, report } = this.#context;
    const expected = definitions.flatMap((definition, index): ExpectedFiring[] => {
      const path = ["expect", index] as const;
      const { state, labels, event, late, request } = definition;
      const requests = request === undefined ? definition.requests : [request];
      const notifications =
        definition.notification === undefined ? definition.notifications : [definition.notification];
      const first = this.#instant(definition.at, [...path, "at"]);
      const repeats = this.#repeats(definition, first, path);
      if (repeats.length > stepCountMax) {
        report(path, `more than ${stepCountMax} firings are expected; make the case shorter`);
        return [];
      }
      const automation = this.#expectedAutomation(definition, path);
      return repeats.map((shift) => ({
        place: placeOf(path),
        automation,
        at: first + shift,
        state,
        labels,
        ...(event === undefined ? {} : { event: event === null ? null : eventId(event) }),
        ...(late === undefined ? {} : { late }),
        ...(requests === undefined ? {} : { requests }),
        ...(notifications === undefined ? {} : { notifications }),
      }));
    });
    return expected.sort((a, b) => a.at - b.at);
  }

  #expectedAutomation({ automation }: ExpectationDefinition, path: readonly ["expect", number]): string {
    if (automation !== undefined) return this.#automation(automation, [...path, "automation"])?.name ?? "";
    const { automations, report } = this.#context;
    const [only, another] = automations;
    if (only !== undefined && another === undefined) return only.name;
    const names = listed(
      automations.map(({ name }) => name),
      "or",
    );
    if (only !== undefined) report(path, `which automation fires? add automation: ${names}`);
    return "";
  }

  /** The offset of each repetition from the first, including the first itself. */
  #repeats(
    { every, until, times }: Pick<StepDefinition, "every" | "until" | "times">,
    first: Micros,
    path: readonly (string | number)[],
  ): Micros[] {
    if (every === undefined) return [0];
    const apart = microsOf(every);
    let count = times ?? 1;
    if (until !== undefined) {
      const last = this.#instant(until, [...path, "until"]);
      if (last < first) {
        const found = `${this.#offset(last)} is before the first time, at ${this.#offset(first)}`;
        this.#context.report([...path, "until"], `until: ${found}; write a later time`);
      }
      count = Math.max(1, Math.floor((last - first) / apart) + 1);
    }
    return Array.from({ length: Math.min(count, stepCountMax + 1) }, (_, index) => index * apart);
  }

  #instant(when: When, path: readonly (string | number)[]): Micros {
    const { start, report } = this.#context;
    const instant = instantOf(when, start);
    if (instant < start) {
      const found = `${formatTime(instant)} is before the start of the case, at ${formatTime(start)}`;
      report(path, `${String(path.at(-1))}: ${found}; set start: to an earlier time`);
    }
    return instant;
  }

  #automation(name: string, path: readonly (string | number)[]): Automation | null {
    const { automations, report } = this.#context;
    const found = automations.find((automation) => automation.name === name);
    if (found !== undefined) return found;
    if (automations.length > 0) {
      report(
        path,
        unknownNameMessage(
          "automation",
          name,
          automations.map((automation) => automation.name),
        ),
      );
    }
    return null;
  }

  /** Checks that the events named in `follows` and in expectations exist. */
  #checkEventNames({ steps, expect }: CaseDefinition): void {
    const repeated = new Set(steps.flatMap((step) => (step.every === undefined ? [] : [step.id])));
    const names = new Set(steps.flatMap(({ id }) => (id === undefined ? [] : [id])));
    const check = (name: string | null | undefined, path: readonly (string | number)[]): void => {
      if (name === undefined || name === null || isUuid(name)) return;
      const [, stem = "", number] = /^(.*)#(\d+)(?:#\d+)?$/s.exec(name) ?? [];
      if (stem === "" && Number(number) <= steps.length) return;
      if (repeated.has(name)) {
        const remedy = `write ${name}#1 for the first one`;
        this.#context.report(
          path,
          `the event ${name} is repeated, so each repetition has a number; ${remedy}`,
        );
      } else if (!names.has(name) && !repeated.has(stem)) {
        this.#context.report(path, unknownNameMessage("event", name, [...names]));
      }
    };
    for (const [index, { follows }] of steps.entries()) check(follows, ["steps", index, "follows"]);
    for (const [index, { event }] of expect.entries()) check(event, ["expect", index, "event"]);
  }

  #offset(instant: Micros): string {
    const { start } = this.#context;
    return instant < start ? formatTime(instant) : formatDuration(instant - start);
  }
}

export function unknownNameMessage(noun: string, name: string, known: readonly string[]): string {
  const near = nearMiss(name, known)?.word;
  if (near !== undefined) return `there is no ${noun} ${JSON.stringify(name)}; did you mean ${near}?`;
  if (known.length === 0)
    return `there is no ${noun} ${JSON.stringify(name)}; add id: to the ${noun} that you mean`;
  const names = known.length > shownCountMax ? [...known.slice(0, shownCountMax), "others"] : known;
  return `there is no ${noun} ${JSON.stringify(name)}; there ${names.length === 1 ? "is" : "are"} ${listed(names, "and")}`;
}

const shownCountMax = 8;

function eventId(text: string): string {
  return isUuid(text) ? normalizeUuid(text) : text;
}
