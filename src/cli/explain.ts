/** `tripline explain`: why an event did, or did not, fire automations. */

import { Command, Option } from "commander";
import { NotFound } from "../client/index.ts";
import { explainEvent, showExplanation } from "../core/machine/explain.ts";
import type { LogEntry } from "../core/machine/log-entry.ts";
import type { Automation } from "../core/model/automation.ts";
import { eventOf, isUuid, normalizeUuid } from "../core/model/event.ts";
import type { Micros } from "../core/model/time.ts";
import { completeWith } from "./completable.ts";
import { addConnection, type ConnectionOptions, findAutomation, withServer } from "./connection.ts";
import { type AnyExplanation, explainedEventText, explanationText } from "./explanation-text.ts";
import { CommandFailure } from "./failure.ts";
import { addExamples } from "./help.ts";
import { hiddenAlias } from "./option-values.ts";
import { addJson, addView, stdoutView } from "./output/output.ts";
import { counted } from "./output/text.ts";
import type { ViewOptions } from "./output/view.ts";
import { addVirtualTime, rulesOption, timelineOption } from "./simulate.ts";
import { linesOf, nameOf, readTimelineLine, rulesForTimeline } from "./timeline.ts";

interface ExplainOptions extends ConnectionOptions, ViewOptions {
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
      "Show what an event was to automations: which condition failed first and on what value, the window before and " +
        "after, what is still missing and until when.\n\n" +
        "A running server explains an event that it has received. With --rules and --events, the event is one of a " +
        "timeline, and no server is needed.",
    )
    .argument("[id]", "the event's id")
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
    ["tripline explain 6966a71e-d75c-4b52-83a2-fb03e82663ef", "an event that the server has received"],
    ["tripline explain b -r rules -e timeline.ndjson", "an event of a timeline"],
  ]);
  return command.action(explain);
}

async function explain(idArgument: string | undefined, options: ExplainOptions): Promise<void> {
  const { rules, events } = options;
  if ((rules === undefined) !== (events === undefined)) {
    throw new CommandFailure("Give --rules and --events together, or neither to ask a running server.", 2);
  }
  const id = idArgument ?? options.event;
  if (id === undefined)
    throw new CommandFailure("Give the id of an event. `tripline events ls` lists events.", 2);
  const explanations =
    rules !== undefined && events !== undefined
      ? await explainTimeline(id, rules, events, options)
      : await askServer(id, options);
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
  const otherCount = explanations.length - concerned.length;
  if (otherCount > 0) {
    console.log(
      `\n${counted(otherCount, concerned.length > 0 ? "other automation" : "automation")} ${otherCount === 1 ? "does" : "do"} not cover the event. Name one with --automation to see why.`,
    );
  }
}

async function explainTimeline(
  id: string,
  rules: string[],
  file: string,
  options: ExplainOptions,
): Promise<AnyExplanation[]> {
  const automations = chosen(rulesForTimeline(rules), options.automation);
  const { events, start, last } = await readEvents(file);
  const eventId = isUuid(id) ? normalizeUuid(id) : id;
  const until = Math.max(last, options.until ?? last);
  const explanations = automations.flatMap((automation): AnyExplanation[] => {
    const put: LogEntry = { kind: "automation-put", position: "0-0", received: start, automation };
    const settings = { until, latenessDefault: options.lateness };
    const explanation = explainEvent([put, ...events], eventId, automation, settings);
    return explanation === null ? [] : [showExplanation(explanation) as unknown as AnyExplanation];
  });
  if (explanations.length > 0) return explanations;
  throw new CommandFailure(`${nameOf(file)} contains no event with the id ${id}.`);
}

function askServer(id: string, options: ExplainOptions): Promise<AnyExplanation[]> {
  return withServer(options, async (tripline) => {
    const automations =
      options.automation === undefined
        ? await tripline.automations.list()
        : [await findAutomation(tripline, options.automation)];
    const explanations: AnyExplanation[] = [];
    for (const automation of automations) {
      try {
        const explanation = await tripline.automations.explain(automation.id, id);
        explanations.push(explanation);
        if (!explanation.complete) {
          console.error(
            `${automation.name}: the log does not reach back to its creation; windows that were open then are unknown.`,
          );
        }
      } catch (error) {
        if (!(error instanceof NotFound) || automations.length === 1) throw error;
      }
    }
    if (explanations.length > 0) return explanations;
    throw new CommandFailure(
      automations.length === 0
        ? "The server has no automations. Add some with: tripline apply rules"
        : `The server's log does not contain the event ${id}. \`tripline events ls\` lists events.`,
    );
  });
}

/** @throws CommandFailure when no automation is called so */
function chosen(automations: readonly Automation[], name: string | undefined): readonly Automation[] {
  if (name === undefined) return automations;
  const found = automations.filter((automation) => automation.name === name || automation.id === name);
  if (found.length > 0) return found;
  const names = automations.map((automation) => JSON.stringify(automation.name)).join(", ");
  throw new CommandFailure(`No automation is called ${JSON.stringify(name)}. The rules define ${names}.`);
}

/** The events of a timeline, and the times of its first and its last line, which may be ticks. */
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
  if (events.length === 0 || start === null) throw new CommandFailure(`${nameOf(file)} contains no event.`);
  return { events, start, last };
}
