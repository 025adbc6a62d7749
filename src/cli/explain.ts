/** `tripline explain`: why an event did, or did not, fire automations. */

import { Command, Option } from "commander";
import {
  type AutomationView,
  type Explanation,
  type LookupMatch,
  NotAllowed,
  NotFound,
  type ReceivedEvent,
  type TracedFiring,
  type Tripline,
} from "../client/index.ts";
import { explainEvent, showExplanation } from "../core/machine/explain.ts";
import type { Gap } from "../core/machine/gaps.ts";
import type { LogEntry } from "../core/machine/log-entry.ts";
import type { Automation } from "../core/model/automation.ts";
import { eventOf, isUuid, normalizeUuid } from "../core/model/event.ts";
import type { Micros } from "../core/model/time.ts";
import { triggerText } from "./automations.ts";
import { completeWith } from "./completable.ts";
import { addConnection, type ConnectionOptions, findAutomation, withServer } from "./connection.ts";
import { consequencesText } from "./delivery-text.ts";
import { type AnyExplanation, explainedEventText, explanationText } from "./explanation-text.ts";
import { CommandFailure } from "./failure.ts";
import { findId } from "./find-id.ts";
import { addExamples } from "./help.ts";
import { hiddenAlias } from "./option-values.ts";
import { addJson, addView, stdoutView } from "./output/output.ts";
import { counted, printable } from "./output/text.ts";
import type { ViewOptions } from "./output/view.ts";
import { addVirtualTime, rulesOption, timelineOption } from "./simulate.ts";
import { nameOf, openTimeline, readTimelineLine, rulesForTimeline } from "./timeline.ts";
import { tracedFiringText } from "./trace.ts";
import { windowsText } from "./windows.ts";

interface ExplainCommandOptions extends ConnectionOptions, ViewOptions {
  readonly rules?: string[];
  readonly events?: string;
  readonly event?: string;
  readonly automation?: string;
  readonly until?: Micros;
  readonly lateness: Micros;
  readonly json?: boolean;
}

export function explainCommand(): Command {
  const command = new Command("explain")
    .description(
      "Show why an event did, or did not, fire automations: which condition failed first and on what value, the window " +
        "before and after, what is still missing and until when, and what became of the actions.\n\n" +
        "Give the id of an event, a firing or a delivery (its webhook-id), or the name or id of an automation. The first " +
        "characters of an id are enough.\n\n" +
        "With --rules and --events, the event is one of a timeline, and no server is needed.",
    )
    .argument("[id]", "what to explain")
    .addOption(hiddenAlias("--event <id>"))
    .addOption(
      completeWith(
        "automations",
        new Option("-a, --automation <name>", "only this automation (default: each that the event concerns)"),
      ),
    );
  const group = "Without a server:";
  command.addOption(rulesOption().helpGroup(group)).addOption(timelineOption().helpGroup(group));
  addVirtualTime(command, group);
  addConnection(addView(addJson(command, "print the explanations as JSON")));
  addExamples(command, [
    ["tripline explain 6966a71e", "an event, a firing or a delivery"],
    ["tripline explain 6966a71e -a disk-full", "why this automation did not fire"],
    ["tripline explain service-silent", "its open windows and latest firings"],
    ["tripline explain b -r rules -e times.ndjson", "without a server"],
  ]);
  return command.action(explain);
}

async function explain(idArgument: string | undefined, options: ExplainCommandOptions): Promise<void> {
  const { rules, events } = options;
  if ((rules === undefined) !== (events === undefined)) {
    throw new CommandFailure("Give --rules and --events together, or neither to ask a running server.", 2);
  }
  const id = idArgument ?? options.event;
  if (id === undefined) {
    throw new CommandFailure(
      "Give the id of an event, a firing or a delivery, or the name of an automation. List some with: tripline events ls, " +
        "tripline automations ls",
      2,
    );
  }
  if (rules !== undefined && events !== undefined) {
    printExplanations(await explainTimeline(id, rules, events, options), options);
    return;
  }
  await withServer(options, (tripline) => explainFromServer(tripline, id, options));
}

async function explainFromServer(
  tripline: Tripline,
  id: string,
  options: ExplainCommandOptions,
): Promise<void> {
  const found = await findId(tripline, id);
  const { automation } = options;
  if (found.kind === "automation") {
    await explainAutomation(tripline, await tripline.automations.get(found.id), options);
  } else if (found.automation !== null && !(await isAboutAnother(tripline, found, automation))) {
    await explainFiring(tripline, { ...found, automation: found.automation }, options);
  } else if (automation === undefined) {
    await explainToAll(tripline, found, options);
  } else {
    // What other automations did is beside the point.
    const eventId = found.event?.id ?? found.id;
    printExplanations(await explanationsOf(tripline, eventId, automation, found.event), options);
  }
}

/**
 * Whether the question is what another automation made of an event that reports a firing or a delivery: those events can
 * fire automations like any other.
 */
async function isAboutAnother(
  tripline: Tripline,
  { kind, id, automation, event }: LookupMatch,
  asked: string | undefined,
): Promise<boolean> {
  if (asked === undefined) return false;
  const other = await findAutomation(tripline, asked);
  if (other.id === automation?.id) return false;
  if (event !== null) return true;
  throw new CommandFailure(
    `${id} is a ${kind} of ${JSON.stringify(automation?.name)}. Give the id of an event to see what ${JSON.stringify(other.name)} ` +
      `made of it; list those of the ${kind} with: tripline events ls --event 'prefect-cloud.automation.*'`,
  );
}

/** A firing, or a delivery with the firing that led to it. */
async function explainFiring(
  tripline: Tripline,
  { kind, id, automation, triggering_event_id: causeId, firing_event_id: firingEventId }: FiringMatch,
  options: ExplainCommandOptions,
): Promise<void> {
  const explanations =
    causeId === null ? [] : await explanationsOf(tripline, causeId, automation.id, null).catch(noExplanation);
  const { firings } = await tripline.trace(firingEventId ?? id).catch(noFirings);
  if (options.json === true) {
    console.log(JSON.stringify({ firings, explanations }, null, 2));
    return;
  }
  const view = stdoutView(options);
  const what = kind === "delivery" ? `delivery ${id}` : "firing";
  console.log(printable(`${what} of ${automation.name}`));
  for (const firing of firings) console.log(`\n${tracedFiringText(firing, view)}`);
  if (causeId === null) {
    console.log("\nNo event caused it: what was expected did not come in time.");
  } else if (explanations.length > 0) {
    console.log();
    printExplanations(explanations, { ...options, automation: automation.id });
  } else {
    console.log();
    const gone = `the automation ${JSON.stringify(automation.name)} or the event ${causeId} is gone`;
    console.log(printable(`Why it fired cannot be worked out again: ${gone}.`));
  }
}

/** A key without the scope `events:read` may explain, but not see events. */
function noFirings(error: unknown): { readonly firings: readonly TracedFiring[] } {
  if (error instanceof NotAllowed || error instanceof NotFound) return { firings: [] };
  throw error;
}

type FiringMatch = LookupMatch & { readonly automation: NonNullable<LookupMatch["automation"]> };

/** The event, or the automation itself, may be gone by now. */
function noExplanation(error: unknown): AnyExplanation[] {
  if (error instanceof CommandFailure || error instanceof NotFound) return [];
  throw error;
}

const firingsShownCount = 5;

/** What an automation is waiting for, and its latest firings. */
async function explainAutomation(
  tripline: Tripline,
  automation: AutomationView,
  options: ExplainCommandOptions,
): Promise<void> {
  const windows = await tripline.automations.windows(automation.id);
  const firings = await latestFirings(tripline, automation.id);
  if (options.json === true) {
    console.log(JSON.stringify({ ...windows, firings }, null, 2));
    return;
  }
  const view = stdoutView(options);
  const { name, enabled } = automation;
  console.log(printable(`${name}: ${enabled ? "enabled" : "paused"}, ${triggerText(automation)}`));
  console.log(`\n${windowsText([windows], view)}`);
  console.log(
    firings.length === 0
      ? "\nNo firing is in the history, if the server keeps one."
      : `\nThe latest firings. To explain one: tripline explain <id>\n\n${consequencesText(firings, view)}`,
  );
}

async function latestFirings(tripline: Tripline, automationId: string): Promise<ReceivedEvent[]> {
  const name = ["prefect-cloud.automation.triggered", "prefect-cloud.automation.resolved"];
  const filter = { event: { name }, resource: { id: [`prefect-cloud.automation.${automationId}`] } };
  return emptyWithoutHistory(async () => {
    return (await tripline.events.page(filter, { limit: firingsShownCount })).events as ReceivedEvent[];
  });
}

/** What Tripline itself did about an event or a firing, in order. Empty where the server keeps no history. */
async function consequencesOf(tripline: Tripline, eventId: string): Promise<ReceivedEvent[]> {
  const related = { id: [`prefect-cloud.event.${eventId}`] };
  const filter = { related, event: { prefix: ["prefect-cloud.automation."] }, order: "ASC" } as const;
  return emptyWithoutHistory(async () => {
    return (await tripline.events.page(filter, { limit: 100 })).events as ReceivedEvent[];
  });
}

/** A server without a history answers 404 to queries for events. */
async function emptyWithoutHistory<T>(ask: () => Promise<T[]>): Promise<T[]> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof NotFound) return [];
    throw error;
  }
}

function printConsequences(consequences: readonly ReceivedEvent[], options: ExplainCommandOptions): void {
  if (consequences.length > 0) console.log(`\n${consequencesText(consequences, stdoutView(options))}`);
}

function printExplanations(explanations: readonly AnyExplanation[], options: ExplainCommandOptions): void {
  if (options.json === true) {
    console.log(JSON.stringify(explanations, null, 2));
    return;
  }
  const view = stdoutView(options);
  const [first] = explanations;
  if (first !== undefined) console.log(explainedEventText(first, view));
  const concerned = explanations.filter(
    ({ triggers }) => options.automation !== undefined || triggers.some(({ covered }) => covered === true),
  );
  for (const explanation of concerned) console.log(`\n${explanationText(explanation, view)}`);
  const other = concerned.length > 0 ? "other automation" : "automation";
  printOtherCount(explanations.length - concerned.length, other);
}

async function explainTimeline(
  id: string,
  rules: string[],
  file: string,
  options: ExplainCommandOptions,
): Promise<AnyExplanation[]> {
  const automations = chosen(rulesForTimeline(rules), options.automation);
  const { events, gaps, start, last } = await readEvents(file);
  const eventId = isUuid(id) ? normalizeUuid(id) : id;
  // Time passes the last line, so that its event settles if the lateness is 0.
  const until = Math.max(last + 1, options.until ?? last);
  const explanations = automations.flatMap((automation): AnyExplanation[] => {
    const put: LogEntry = { kind: "automation-put", position: "0-0", received: start, automation };
    const settings = { until, latenessDefault: options.lateness, gaps };
    const explanation = explainEvent([put, ...events], eventId, automation, settings);
    return explanation === null ? [] : [showExplanation(explanation) as unknown as AnyExplanation];
  });
  if (explanations.length > 0) return explanations;
  throw new CommandFailure(`${nameOf(file)} contains no event with the id ${id}.`);
}

/**
 * @param nameOrId of the automation to explain
 * @param event as the history holds it; null when it does not
 * @throws CommandFailure when the log does not contain the event
 */
async function explanationsOf(
  tripline: Tripline,
  eventId: string,
  nameOrId: string,
  event: ReceivedEvent | null,
): Promise<AnyExplanation[]> {
  const automation = await findAutomation(tripline, nameOrId);
  const explanation = await inLog(eventId, event, () => tripline.automations.explain(automation.id, eventId));
  warnOfGaps([explanation]);
  return [explanation];
}

/** What the event was to all automations. @throws CommandFailure when the log does not contain the event */
async function explainToAll(
  tripline: Tripline,
  { id, event }: LookupMatch,
  options: ExplainCommandOptions,
): Promise<void> {
  const answer = await inLog(id, event, () => tripline.automations.explainToAll(id));
  const { explanations, not_listed: others } = answer;
  warnOfGaps(explanations);
  if (options.json === true) {
    console.log(JSON.stringify(answer, null, 2));
    return;
  }
  const view = stdoutView(options);
  console.log(explainedEventText(answer, view));
  for (const explanation of explanations) console.log(`\n${explanationText(explanation, view)}`);
  const other = explanations.length > 0 ? "other automation" : "automation";
  if (others.covering > 0) {
    const verb = others.covering === 1 ? "covers" : "cover";
    console.log(
      `\n${counted(others.covering, other)} ${verb} the event. Name one with --automation to see more.`,
    );
  }
  printOtherCount(others.not_covering, other);
  printConsequences(await consequencesOf(tripline, id), options);
}

/** @throws CommandFailure when the log does not contain the event */
async function inLog<T>(eventId: string, event: ReceivedEvent | null, explain: () => Promise<T>): Promise<T> {
  try {
    return await explain();
  } catch (error) {
    if (!(error instanceof NotFound)) throw error;
    throw new CommandFailure(
      event === null
        ? `The server has no event ${eventId}. List events with: tripline events ls`
        : `The event ${eventId} (${event.event}) cannot be explained: neither the log nor the history holds it anymore.`,
    );
  }
}

function warnOfGaps(explanations: readonly Explanation[]): void {
  for (const { automation, complete, changed_since: changed } of explanations) {
    if (changed !== null) {
      console.error(
        printable(`${automation.name}: changed at ${changed}, after the event; explained as it is now.`),
      );
    } else if (!complete) {
      console.error(
        `${printable(automation.name)}: the log does not reach back to its creation; windows that were open then are unknown.`,
      );
    }
  }
}

function printOtherCount(count: number, what: string): void {
  if (count === 0) return;
  const verb = count === 1 ? "does" : "do";
  console.log(
    `\n${counted(count, what)} ${verb} not cover the event. Name one with --automation to see why.`,
  );
}

/** @throws CommandFailure when no automation is called so */
function chosen(automations: readonly Automation[], name: string | undefined): readonly Automation[] {
  if (name === undefined) return automations;
  const found = automations.filter((automation) => automation.name === name || automation.id === name);
  if (found.length > 0) return found;
  const names = automations.map((automation) => JSON.stringify(automation.name)).join(", ");
  throw new CommandFailure(`No automation is called ${JSON.stringify(name)}. The rules define ${names}.`);
}

interface TimelineEvents {
  readonly events: readonly LogEntry[];
  readonly gaps: readonly Gap[];
  /** The times of the first and the last line, which may be ticks. */
  readonly start: Micros;
  readonly last: Micros;
}

/** The events of a timeline. */
async function readEvents(file: string): Promise<TimelineEvents> {
  const { lines, gaps } = await openTimeline(file);
  const events: LogEntry[] = [];
  let start: Micros | null = null;
  let last: Micros = Number.NEGATIVE_INFINITY;
  for await (const [number, text] of lines) {
    const step = readTimelineLine(text, `${nameOf(file)}:${number}`);
    if (step === null) continue;
    last = Math.max(last, step.received);
    start ??= last;
    if (step.event === null) continue;
    events.push({ kind: "event", position: `${number}-0`, received: last, event: eventOf(step.event, last) });
  }
  if (events.length === 0 || start === null) throw new CommandFailure(`${nameOf(file)} contains no event.`);
  return { events, gaps, start, last };
}
