/** `tripline windows`: what automations have counted so far, and what they are waiting for. */

import { Argument, Command } from "commander";
import type { Window, Windows } from "../client/index.ts";
import { completeWith } from "./completable.ts";
import { addConnection, type ConnectionOptions, findAutomation, withServer } from "./connection.ts";
import { addExamples } from "./help.ts";
import { readCount } from "./option-values.ts";
import { heldText, movedText } from "./output/gap-text.ts";
import { addOutput, type OutputOptions, print } from "./output/output.ts";
import { type TableColumn, table } from "./output/table.ts";
import { counted, keyText } from "./output/text.ts";
import { timeAndDistance, timeText } from "./output/times.ts";
import type { View } from "./output/view.ts";

type Options = ConnectionOptions & OutputOptions & { readonly limit: number };

export function windowsCommand(): Command {
  const command = new Command("windows")
    .description(
      "Show the open windows of a running server: what has been counted, what is missing, and when each is judged.",
    )
    .addArgument(
      completeWith("automations", new Argument("[automations...]", "names or ids (default: all)")),
    );
  command.option("-n, --limit <count>", "stop after this many windows of an automation", readCount, 1_000);
  addConnection(addOutput(command));
  addExamples(command, [
    ["tripline windows", "all open windows"],
    ["tripline windows service-silent", "those of one automation"],
  ]);
  return command.action(async (namesOrIds: string[], options: Options) => {
    const answers = await withServer(options, async (tripline) => {
      const automations =
        namesOrIds.length === 0
          ? await tripline.automations.list()
          : await Promise.all(namesOrIds.map((nameOrId) => findAutomation(tripline, nameOrId)));
      return Promise.all(
        automations.map(({ id }) => tripline.automations.windows(id, { limit: options.limit })),
      );
    });
    print(answers, options, (view) => windowsText(answers, view));
  });
}

export function windowsText(answers: readonly Windows[], view: View): string {
  const rows = answers.flatMap(({ automation, windows }) =>
    windows.map((window) => ({ automation: automation.name, window })),
  );
  const left = answers.reduce((sum, { count, windows }) => sum + count - windows.length, 0);
  if (rows.length === 0 && left === 0)
    return `No window is open in ${counted(answers.length, "automation")}.`;
  const rest = left === 0 ? "" : `\n${counted(left, "more window")}, judged later; for more, use --limit`;
  return table(columnsFor(view), rows, view) + rest;
}

interface Row {
  readonly automation: string;
  readonly window: Window;
}

function columnsFor(view: View): TableColumn<Row>[] {
  return [
    { heading: "AUTOMATION", cell: ({ automation }) => automation, widthMin: 14 },
    {
      heading: "TRIGGER",
      cell: ({ window }) => (window.trigger === "" ? "(root)" : window.trigger),
      widthMin: 7,
    },
    { heading: "KEY", cell: ({ window }) => keyText(window.labels) || "-", widthMin: 14 },
    {
      heading: "COUNT",
      cell: ({ window }) => countText(window, view),
      style: ({ window }) => (window.unresolved ? "red" : null),
    },
    { heading: "START", cell: ({ window }) => timeText(window.start, view), widthMin: 8 },
    ...(view.brief ? [] : [{ heading: "END", cell: ({ window }: Row) => timeText(window.end, view) }]),
    { heading: "JUDGED", cell: ({ window }) => judgedText(window, view), widthMin: 8 },
  ];
}

function judgedText({ deadline, gaps, unreachable_since: since }: Window, view: View): string {
  if (since !== null) return heldText(since, view);
  return `${timeAndDistance(deadline, view)}${movedText({ gaps }, view)}`;
}

function countText(window: Window, view: View): string {
  const { count, threshold, unresolved, quiet_until: quietUntil, settling } = window;
  if (quietUntil !== null) return `quiet until ${timeText(quietUntil, view)}`;
  const parts = [`${count} of ${threshold}`];
  if (settling > 0) parts.push(`${settling} settling`);
  if (unresolved) parts.push("unresolved");
  return parts.join(", ");
}
