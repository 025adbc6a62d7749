/** `tripline explain`: what one event was to an automation, and why it fired or did not. */

import { Command } from "commander";
import { type Explanation, NotFound } from "../client/index.ts";
import { explainEvent, showExplanation } from "../core/machine/explain.ts";
import type { LogEntry } from "../core/machine/log-entry.ts";
import type { Automation } from "../core/model/automation.ts";
import { eventOf, isUuid, normalizeUuid } from "../core/model/event.ts";
import type { Micros } from "../core/model/time.ts";
import { addConnection, asking, automationCalled, type ConnectionOptions } from "./connection.ts";
import { explanationText } from "./explanation-text.ts";
import { CommandFailure } from "./failure.ts";
import {
  durationOption,
  linesOf,
  nameOf,
  readTimelineLine,
  rulesForTimeline,
  timeOption,
} from "./timeline.ts";

type Shown = Omit<Explanation, "complete">;

interface ExplainOptions extends ConnectionOptions {
  readonly rules?: string[];
  readonly events?: string;
  readonly event: string;
  readonly automation?: string;
  readonly until?: Micros;
  readonly lateness: Micros;
  readonly json?: boolean;
}

export function explainCommand(): Command {
  const command = new Command("explain")
    .description(
      "Say of one event what it was to an automation: which condition failed first and on what value, the window " +
        "before and after, what is still missing and until when. Of an event of a timeline, with --rules and --events; " +
        "or else of an event that a running server has received.",
    )
    .requiredOption("--event <id>", "the event's id")
    .option("-a, --automation <name>", "only this automation; otherwise every one that has something to say")
    .option("-r, --rules <path...>", "rule files, and directories of them, in place of a server's")
    .option("-e, --events <file>", "the timeline (NDJSON), as for simulate; - for standard input")
    .option("--until <time>", "carry time on to this instant after the last line", timeOption("--until"))
    .option(
      "--lateness <duration>",
      "the lateness of triggers that name none",
      durationOption("--lateness"),
      0,
    )
    .option("--json", "print the explanations as JSON");
  return addConnection(command).action(explain);
}

async function explain(options: ExplainOptions): Promise<void> {
  const { rules, events } = options;
  if ((rules === undefined) !== (events === undefined)) {
    throw new CommandFailure("--rules and --events go together: without both, a running server is asked.", 2);
  }
  const explanations =
    rules !== undefined && events !== undefined
      ? await explainTimeline(rules, events, options)
      : await askServer(options);
  if (options.json === true) {
    console.log(JSON.stringify(explanations, null, 2));
    return;
  }
  const telling = explanations.filter(
    ({ triggers }) => options.automation !== undefined || triggers.some(({ covered }) => covered === true),
  );
  for (const explanation of telling) console.log(explanationText(explanation));
  const silentCount = explanations.length - telling.length;
  if (silentCount > 0) {
    console.log(
      `${silentCount} other automation${silentCount === 1 ? " does" : "s do"} not cover it; name one with --automation to see why.`,
    );
  }
}

async function explainTimeline(rules: string[], file: string, options: ExplainOptions): Promise<Shown[]> {
  const automations = chosen(rulesForTimeline(rules), options.automation);
  const { events, start, last } = await readEvents(file);
  const eventId = isUuid(options.event) ? normalizeUuid(options.event) : options.event;
  const until = Math.max(last, options.until ?? last);
  const explanations = automations.flatMap((automation): Shown[] => {
    const put: LogEntry = { kind: "automation-put", position: "0-0", received: start, automation };
    const settings = { until, latenessDefault: options.lateness };
    const explanation = explainEvent([put, ...events], eventId, automation, settings);
    return explanation === null ? [] : [showExplanation(explanation) as unknown as Shown];
  });
  if (explanations.length > 0) return explanations;
  throw new CommandFailure(`${nameOf(file)} holds no event with the id ${options.event}`);
}

function askServer(options: ExplainOptions): Promise<Shown[]> {
  return asking(options, async (tripline) => {
    const automations =
      options.automation === undefined
        ? await tripline.automations.list()
        : [await automationCalled(tripline, options.automation)];
    const explanations: Shown[] = [];
    for (const { id } of automations) {
      try {
        const explanation = await tripline.automations.explain(id, options.event);
        explanations.push(explanation);
        if (!explanation.complete) {
          const { name } = explanation.automation;
          console.error(
            `${name}: the log does not reach back to its creation; windows that were open then are not known.`,
          );
        }
      } catch (error) {
        if (!(error instanceof NotFound) || automations.length === 1) throw error;
      }
    }
    if (explanations.length > 0) return explanations;
    const reason =
      automations.length === 0
        ? "The server has no automations"
        : `The server's log holds no event ${options.event}`;
    throw new CommandFailure(`${reason}.`);
  });
}

function chosen(automations: readonly Automation[], name: string | undefined): readonly Automation[] {
  if (name === undefined) return automations;
  const found = automations.filter((automation) => automation.name === name || automation.id === name);
  if (found.length > 0) return found;
  const names = automations.map((automation) => JSON.stringify(automation.name)).join(", ");
  throw new CommandFailure(`There is no automation ${JSON.stringify(name)}; there are ${names}`);
}

/** The events, and the times of the first and the last line: a tick lets time pass, too. */
async function readEvents(file: string): Promise<{ events: LogEntry[]; start: Micros; last: Micros }> {
  const events: LogEntry[] = [];
  let start: Micros | null = null;
  let last: Micros = Number.NEGATIVE_INFINITY;
  for await (const [number, text] of linesOf(file)) {
    const step = readTimelineLine(text, `${nameOf(file)}:${number}`);
    if (step === null) continue;
    last = Math.max(last, step.received);
    start ??= last;
    if (step.event === null) continue;
    events.push({ kind: "event", position: `${number}-0`, received: last, event: eventOf(step.event, last) });
  }
  if (events.length === 0 || start === null) throw new CommandFailure(`${nameOf(file)} holds no event`);
  return { events, start, last };
}
