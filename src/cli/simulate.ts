/** `tripline simulate`: runs rules over a timeline of events, in virtual time, without a server. */

import { Command, Option } from "commander";
import type { Firing } from "../core/machine/firing.ts";
import { Simulation } from "../core/machine/simulation.ts";
import { formatTime, type Micros } from "../core/model/time.ts";
import { emittedEventsOf } from "../delivery/emitted-events.ts";
import { completeWith } from "./completable.ts";
import { addExamples } from "./help.ts";
import { readDuration, readTime } from "./option-values.ts";
import { addJson } from "./output/output.ts";
import { counted, printable } from "./output/text.ts";
import { nameOf, openTimeline, readTimelineLine, rulesForTimeline } from "./timeline.ts";

interface SimulateOptions {
  readonly rules: string[];
  readonly events: string;
  readonly until?: Micros;
  readonly lateness: Micros;
  readonly json?: boolean;
}

export function simulateCommand(): Command {
  const command = new Command("simulate")
    .description(
      "Run rules over a timeline of events in virtual time, and print each firing. No server is needed.\n\n" +
        'Each line of the timeline is an event, with an optional "received" time (default: its "occurred" time), or ' +
        '{"tick": "<time>"}, which lets time pass. Lines are in the order in which they are received. The automations ' +
        "exist from the time of the first line.",
    )
    .addOption(rulesOption().makeOptionMandatory())
    .addOption(timelineOption().makeOptionMandatory());
  addVirtualTime(command);
  addJson(command, "print each firing as one line of JSON");
  addExamples(command, [
    ["tripline simulate --rules rules --events timeline.ndjson", "what would fire, and when"],
    [
      "tripline simulate -r rules -e - --until 2026-03-02T00:00:00Z",
      "a timeline that a program prints, until midnight",
    ],
  ]);
  return command.action(simulate);
}

export function rulesOption(): Option {
  return completeWith("rule-files", new Option("-r, --rules <path...>", "rule files, and folders of them"));
}

export function timelineOption(): Option {
  const description = "the timeline, one JSON document per line; - for standard input";
  return completeWith("files", new Option("-e, --events <file>", description));
}

/** Adds the options that let time pass after a timeline. @param group their heading in the help */
export function addVirtualTime(command: Command, group?: string): Command {
  const options = [
    new Option(
      "--until <time>",
      "let time pass until then after the last line (UTC without an offset)",
    ).argParser(readTime),
    new Option("--lateness <duration>", "the lateness of triggers that set none")
      .argParser(readDuration)
      .default(0, "0s"),
  ];
  for (const option of options) command.addOption(group === undefined ? option : option.helpGroup(group));
  return command;
}

async function simulate(options: SimulateOptions): Promise<void> {
  const { lines: timeline, gaps } = await openTimeline(options.events);
  const simulation = new Simulation(rulesForTimeline(options.rules), {
    latenessDefault: options.lateness,
    stored: false,
    gaps,
    emittedBy: (firing) => {
      const { events, problems } = emittedEventsOf(firing);
      for (const problem of problems)
        console.error(printable(`${firing.automation.name} at ${formatTime(firing.triggered)}: ${problem}`));
      return events;
    },
  });
  const lineOf = options.json === true ? jsonLine : textLine;
  let latest: Micros | null = null;
  let firingCount = 0;
  let lines: string[] = [];
  const report = (firings: readonly Firing[]): void => {
    firingCount += firings.length;
    for (const firing of firings) lines.push(lineOf(firing));
    if (lines.length < linesPerWrite) return;
    process.stdout.write(lines.join(""));
    lines = [];
  };
  for await (const [number, text] of timeline) {
    const place = `${nameOf(options.events)}:${number}`;
    const step = readTimelineLine(text, place);
    if (step === null) continue;
    if (latest !== null && step.received < latest) {
      console.error(
        `${place}: received ${formatTime(step.received)}, before the line above it; treated as received ${formatTime(latest)}`,
      );
    }
    latest = Math.max(latest ?? step.received, step.received);
    report(simulation.step(step));
  }
  if (options.until !== undefined) report(simulation.step({ received: options.until, event: null }));
  process.stdout.write(lines.join(""));
  if (options.json !== true) console.log(counted(firingCount, "firing"));
}

function jsonLine({ automation, triggered, labels, event, state }: Firing): string {
  const line = {
    automation: automation.name,
    triggered: formatTime(triggered),
    labels,
    event: event?.id ?? null,
    state,
  };
  return `${JSON.stringify(line)}\n`;
}

/** Times are those of the timeline, which is written in UTC. */
function textLine({ automation, triggered, labels, event, state, late }: Firing): string {
  const values = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
  const cause = event === null ? "no event" : `${event.wire.event} ${event.id}`;
  const note = late ? " (late: the alarm is taken back)" : "";
  const cells = [formatTime(triggered), state.padEnd(9), automation.name, ...values, `${cause}${note}`];
  return `${printable(cells.join("  "))}\n`;
}

/** One write per firing would be slow. */
const linesPerWrite = 500;
