/** `tripline simulate`: the rules over a timeline of events, in virtual time, without a server. */

import { Command } from "commander";
import type { Firing } from "../core/machine/firing.ts";
import { Simulation } from "../core/machine/simulation.ts";
import { formatTime, type Micros } from "../core/model/time.ts";
import {
  durationOption,
  linesOf,
  nameOf,
  readTimelineLine,
  rulesForTimeline,
  timeOption,
} from "./timeline.ts";

interface SimulateOptions {
  readonly rules: string[];
  readonly events: string;
  readonly until?: Micros;
  readonly lateness: Micros;
  readonly json?: boolean;
}

export function simulateCommand(): Command {
  return new Command("simulate")
    .description(
      "Run rules over a timeline in virtual time, and print each firing. Each line of the timeline is an event, with an " +
        'optional "received" (default: its "occurred"; lines are in that order), or {"tick": "<time>"}, which lets ' +
        "time pass. The automations exist from the first line's time on.",
    )
    .requiredOption("-r, --rules <path...>", "rule files, and directories of them")
    .requiredOption("-e, --events <file>", "the timeline (NDJSON); - for standard input")
    .option("-u, --until <time>", "carry time on to this instant after the last line", timeOption("--until"))
    .option(
      "--lateness <duration>",
      "the lateness of triggers that name none",
      durationOption("--lateness"),
      0,
    )
    .option("--json", "print each firing as a line of JSON")
    .action(simulate);
}

async function simulate(options: SimulateOptions): Promise<void> {
  const simulation = new Simulation(rulesForTimeline(options.rules), {
    latenessDefault: options.lateness,
    stored: false,
  });
  const print = options.json === true ? asJson : asText;
  let latest: Micros | null = null;
  let firingCount = 0;
  let lines: string[] = [];
  const report = (firings: readonly Firing[]): void => {
    firingCount += firings.length;
    for (const firing of firings) lines.push(print(firing));
    if (lines.length < printedTogether) return;
    process.stdout.write(lines.join(""));
    lines = [];
  };
  for await (const [number, text] of linesOf(options.events)) {
    const step = readTimelineLine(text, `${nameOf(options.events)}:${number}`);
    if (step === null) continue;
    if (latest !== null && step.received < latest) {
      const at = formatTime(latest);
      console.error(
        `${nameOf(options.events)}:${number}: received ${formatTime(step.received)}, before the line above it; taken as received ${at}`,
      );
    }
    latest = Math.max(latest ?? step.received, step.received);
    report(simulation.step(step));
  }
  if (options.until !== undefined) report(simulation.step({ received: options.until, event: null }));
  process.stdout.write(lines.join(""));
  if (options.json !== true) console.log(`${firingCount} firing${firingCount === 1 ? "" : "s"}`);
}

function asJson({ automation, triggered, labels, event, state }: Firing): string {
  const line = {
    automation: automation.name,
    triggered: formatTime(triggered),
    labels,
    event: event?.id ?? null,
    state,
  };
  return `${JSON.stringify(line)}\n`;
}

function asText({ automation, triggered, labels, event, state, late }: Firing): string {
  const values = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
  const cause = event === null ? "no event" : `${event.wire.event} ${event.id}`;
  const note = late ? " (late: the alarm is taken back)" : "";
  return `${formatTime(triggered)}  ${state.padEnd(9)}  ${[automation.name, ...values].join("  ")}  ${cause}${note}\n`;
}

/** Firings per write: one at a time would be slow. */
const printedTogether = 500;
