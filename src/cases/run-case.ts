/** Runs a case in virtual time, as written and with restarts, and compares the firings. */

import { showFiring } from "../core/machine/consequence.ts";
import type { CoreOptions } from "../core/machine/core.ts";
import type { Firing } from "../core/machine/firing.ts";
import { gapsReportedBy } from "../core/machine/gaps.ts";
import { Simulation } from "../core/machine/simulation.ts";
import type { Automation } from "../core/model/automation.ts";
import { emittedEventsOf } from "../delivery/emitted-events.ts";
import { wholeFile } from "../rules/diagnostic.ts";
import type { Case, CaseStep, ExpectedFiring } from "./case.ts";
import { isGood, type Pair, pairFirings } from "./compare.ts";
import { type GotFiring, gotFiring } from "./got-firing.ts";

export interface CaseResult {
  readonly case: Case;
  readonly passed: boolean;
  readonly firings: readonly GotFiring[];
  /** The expected and the actual firings of the case as written. */
  readonly pairs: readonly Pair[];
  /**
   * The firings of the case as written and those of the run with a restart between every two steps; null when they are
   * the same. A difference is a bug in Tripline, not in the rule.
   */
  readonly restartPairs: readonly Pair[] | null;
  readonly durationMs: number;
}

export interface RunOptions {
  /** Creates what runs the rules. Default: the core in virtual time. */
  readonly createSimulation?: (
    automations: readonly Automation[],
    options: CoreOptions,
  ) => Pick<Simulation, "step" | "put" | "restart">;
}

export function runCase(one: Case, options: RunOptions = {}): CaseResult {
  const started = performance.now();
  const asWritten = firingsOf(one, false, options);
  const restarted = firingsOf(one, true, options);
  const firings = asWritten.map(gotFiring);
  const pairs = pairFirings(one.expected, firings, one.start);
  const restartPairs = sameFirings(asWritten, restarted)
    ? null
    : pairFirings(firings.map(asExpected), restarted.map(gotFiring), one.start);
  return {
    case: one,
    passed: restartPairs === null && pairs.every(isGood),
    firings,
    pairs,
    restartPairs,
    durationMs: performance.now() - started,
  };
}

/** More restarts than this would take long and find nothing new. */
const restartedStepCountMax = 1_000;

/** @param isRestarted the engine is restarted after each step, and once more before the next */
function firingsOf(one: Case, isRestarted: boolean, options: RunOptions): Firing[] {
  const emittedBy = (firing: Firing) => emittedEventsOf(firing).events;
  const create =
    options.createSimulation ?? ((automations, core) => new Simulation(automations, { ...core, emittedBy }));
  const { automations, start, end, lateness, steps } = one;
  const stored = isRestarted || steps.some(({ kind }) => kind === "restart");
  // Gaps that a case tells of are known from the start, as they are to someone who reads the history.
  const gaps = gapsReportedBy(steps.flatMap((step) => (step.kind === "event" ? [step.event] : [])));
  const simulation = create(automations, { latenessDefault: lateness, stored, gaps });
  const firings = simulation.step({ received: start, event: null });
  const byId = new Map(automations.map((automation) => [automation.id, automation]));
  const take = (step: CaseStep): void => {
    if (step.kind === "event") firings.push(...simulation.step({ received: step.at, event: step.event }));
    else if (step.kind === "restart") {
      firings.push(...simulation.step({ received: step.at, event: null }));
      simulation.restart();
    } else {
      for (const id of step.automationIds) {
        const changed = { ...byId.get(id)!, enabled: step.enabled };
        firings.push(...simulation.put(changed, step.at));
      }
    }
  };
  const stride = Math.ceil(steps.length / restartedStepCountMax);
  for (const [index, step] of steps.entries()) {
    if (isRestarted && index % stride === 0) {
      simulation.restart();
      firings.push(...simulation.step({ received: step.at, event: null }));
      simulation.restart();
    }
    take(step);
  }
  if (isRestarted) simulation.restart();
  firings.push(...simulation.step({ received: end, event: null }));
  return firings;
}

function asExpected({ requests, problems: _, ...firing }: GotFiring): ExpectedFiring {
  return {
    ...firing,
    place: wholeFile,
    requests: requests.map((request) => ("problem" in request ? {} : request)),
  };
}

/** Compares without regard to order, because firings at the same instant have none. Equal firings render equally. */
function sameFirings(a: readonly Firing[], b: readonly Firing[]): boolean {
  const texts = [a, b].map((firings) =>
    firings
      .map((firing) => JSON.stringify([firing.automation, showFiring(firing)]))
      .sort()
      .join("\n"),
  );
  return texts[0] === texts[1];
}
