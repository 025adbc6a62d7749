/** `tripline trace`: the whole path of a firing, from its events to each answer of each receiver. */

import { Command } from "commander";
import {
  type Delivery,
  NotFound,
  type Trace,
  type TracedFiring,
  type TracedTrigger,
} from "../client/index.ts";
import { addConnection, type ConnectionOptions, withServer } from "./connection.ts";
import { findId } from "./find-id.ts";
import { addExamples } from "./help.ts";
import { addOutput, type OutputOptions, print } from "./output/output.ts";
import { paint } from "./output/style.ts";
import { type TableColumn, table } from "./output/table.ts";
import { keyText, printable, shortId } from "./output/text.ts";
import { timeAndDistance, timeText } from "./output/times.ts";
import type { View } from "./output/view.ts";

type Options = ConnectionOptions & OutputOptions;

export function traceCommand(): Command {
  const command = new Command("trace")
    .description(
      "Print the whole path of a firing: the events that led to it, the window in which they counted, and each delivery " +
        "with its attempts and answers.\n\n" +
        "Give the id of a firing or a delivery (its webhook-id), or of an event for each firing that it caused. The first " +
        "characters of an id are enough.",
    )
    .argument("<id>", "of a firing, a delivery or an event");
  addConnection(addOutput(command));
  addExamples(command, [
    ["tripline trace 3861b6c1", "a firing, a delivery or an event"],
    ["tripline trace 3861b6c1 --json", "for a program"],
  ]);
  return command.action(async (id: string, options: Options) => {
    const trace = await withServer(options, async (tripline) => {
      try {
        return await tripline.trace(id);
      } catch (error) {
        // Says what else has this id, or several ids that begin so.
        if (error instanceof NotFound) await findId(tripline, id);
        throw error;
      }
    });
    print(trace, options, (view) => traceText(trace, view));
  });
}

function traceText({ firings, truncated }: Trace, view: View): string {
  if (firings.length === 0) return "This event has caused no firing.";
  const texts = firings.map((firing) => tracedFiringText(firing, view));
  return [...texts, ...(truncated ? ["There are more firings of this event."] : [])].join("\n\n");
}

/** A firing with its events and deliveries. */
export function tracedFiringText(firing: TracedFiring, view: View): string {
  const { automation, state, triggered, triggers, deliveries, changed_since: changed, event_id: id } = firing;
  const what = state === "Triggered" ? "fired" : "resolved";
  const key = keyText(triggers[0]?.labels ?? {});
  const title = `${automation.name} ${what} at ${timeAndDistance(triggered, view)}${key === "" ? "" : ` for ${key}`}`;
  const lines = [paint(printable(title), "bold", view.colored), `  id ${id}`];
  if (changed !== null) {
    const time = timeText(changed, view);
    lines.push(`  The automation was changed at ${time}; the events below are found by its present trigger.`);
  }
  for (const trigger of triggers) lines.push("", ...triggerLines(trigger, triggers.length > 1, view));
  lines.push(
    "",
    deliveries.length === 0 ? "It has no actions, or their deliveries are not kept anymore." : "",
  );
  for (const delivery of deliveries) lines.push(...deliveryLines(delivery, view));
  if (firing.emitted.length > 0) {
    lines.push("", "It emitted:");
    for (const { id: emitted, event, resource } of firing.emitted)
      lines.push(printable(`  ${event}  ${resource["prefect.resource.id"] ?? ""}  ${emitted}`));
  }
  return lines.join("\n").replaceAll("\n\n\n", "\n\n");
}

function triggerLines(trigger: TracedTrigger, named: boolean, view: View): string[] {
  const { trigger: path, summary, window, events, more_events: more, state, triggered } = trigger;
  const name = named ? `trigger ${path === "" ? "(root)" : path}: ` : "";
  const lines = [printable(`${name}${summaryText(summary, window, view)}`)];
  if (window !== null) {
    const end = window.end === null ? "no end" : timeText(window.end, view);
    const judged = state === "Triggered" && window.count < window.threshold;
    const tally = `${window.count} of ${window.threshold}`;
    const when = judged ? `, judged at ${timeText(triggered, view)}` : "";
    lines.push(`  window [${timeText(window.start, view)}, ${end}) with ${tally}${when}`);
  }
  if (events.length > 0) {
    const columns: TableColumn<(typeof events)[number]>[] = [
      { heading: "  OCCURRED", cell: ({ event }) => `  ${timeText(event.occurred, view)}`, widthMin: 8 },
      { heading: "ROLE", cell: ({ role }) => role },
      { heading: "EVENT", cell: ({ event }) => event.event, widthMin: 16 },
      {
        heading: "RESOURCE",
        cell: ({ event }) => event.resource["prefect.resource.id"] ?? "",
        widthMin: 12,
      },
      {
        heading: "ID",
        cell: ({ event }) => (view.brief ? shortId(event.id) : event.id),
        style: () => "dim",
      },
    ];
    lines.push(table(columns, events, view));
  }
  if (more) lines.push("  … and more");
  return lines;
}

/** The server's sentence, with times as this view shows them. */
function summaryText(summary: string, window: TracedTrigger["window"], view: View): string {
  const times = [window?.start, window?.end].filter((time) => time != null);
  return times.reduce((text, time) => text.replaceAll(time, timeText(time, view)), summary);
}

function deliveryLines(delivery: Delivery, view: View): string[] {
  const {
    id,
    action_index: index,
    action_type: type,
    target,
    state,
    attempts,
    attempt_count: count,
  } = delivery;
  const ended = delivery.delivered ?? delivery.failed;
  const to = target === null ? "" : ` to ${target}`;
  const facts = [
    state === "dead" ? "dead letter" : state,
    ...(ended === null ? [] : [`at ${timeText(ended, view)}`]),
    ...(delivery.status_code === null ? [] : [`status ${delivery.status_code}`]),
    count === 1 ? "1 attempt" : `${count} attempts`,
    ...(delivery.redeliveries > 0 ? [`redelivered ${delivery.redeliveries} ×`] : []),
    ...(delivery.next_attempt === null ? [] : [`next at ${timeText(delivery.next_attempt, view)}`]),
    ...(delivery.reason === null ? [] : [delivery.reason]),
  ];
  const style = state === "delivered" ? "green" : state === "dead" ? "red" : "yellow";
  return [
    printable(`action ${index} ${type}${to}: `) + paint(printable(facts.join(", ")), style, view.colored),
    `  id ${id}`,
    ...attempts.map((attempt) => attemptLine(attempt, view)),
  ];
}

function attemptLine(attempt: Delivery["attempts"][number], view: View): string {
  const { at, status_code: status, duration_ms: ms, reason, answer, early } = attempt;
  const said = reason ?? answer;
  const parts = [
    timeText(at, view),
    `status ${status ?? "-"}`,
    `${Math.round(ms)} ms`,
    ...(early === undefined ? [] : [early]),
    ...(said === undefined ? [] : [said]),
  ];
  return printable(`  attempt ${parts.join("  ")}`);
}
