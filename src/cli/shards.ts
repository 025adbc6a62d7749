/** `tripline shards`: which engine evaluates which part of the automations, and in how many parts they are divided. */

import { setTimeout as pause } from "node:timers/promises";
import { Argument, Command } from "commander";
import type { Shards, Tripline } from "../client/index.ts";
import { shardCountMax } from "../store/shard-layout.ts";
import { addConnection, type ConnectionOptions, withServer } from "./connection.ts";
import { CommandFailure } from "./failure.ts";
import { addExamples } from "./help.ts";
import { readWholeNumber } from "./option-values.ts";
import { addOutput, type OutputOptions, print } from "./output/output.ts";
import { type TableColumn, table } from "./output/table.ts";
import { counted, printable } from "./output/text.ts";
import { timeText } from "./output/times.ts";
import type { View } from "./output/view.ts";

type Options = ConnectionOptions & OutputOptions;

export function shardsCommand(): Command {
  return new Command("shards")
    .description("Show which engine owns which shard of the automations, and change their number.")
    .addCommand(listCommand(), { isDefault: true })
    .addCommand(setCommand());
}

function listCommand(): Command {
  const command = new Command("ls").description(
    "List the engines that are alive, and the shards with their owners and how far each is.",
  );
  addConnection(addOutput(command));
  addExamples(command, [["tripline shards ls", "which engine owns which shard, and whether one is behind"]]);
  return command.action(async (options: Options) => {
    const shards = await withServer(options, (tripline) => tripline.shards.read());
    print(shards, options, (view) => shardsText(shards, view));
  });
}

function shardsText({ count, change, engines, shards }: Shards, view: View): string {
  if (count === 0) return "No engine has ever run here.";
  const lines = [
    engines.length === 0 ? "No engine is alive." : table(engineColumns(view), engines, view),
    "",
    table(shardColumns(view), shards, view),
  ];
  if (change !== null) {
    const wish = `A change to ${counted(change.count, "shard")} was asked for at ${timeText(change.since, view)}`;
    lines.push(
      "",
      change.failure === null ? `${wish}.` : `${wish}, and given up: ${printable(change.failure)}.`,
    );
  }
  return lines.join("\n");
}

function engineColumns(view: View): TableColumn<Shards["engines"][number]>[] {
  return [
    { heading: "ENGINE", cell: ({ name }) => name, widthMin: 20 },
    { heading: "SINCE", cell: ({ since }) => timeText(since, view), widthMin: 8 },
    { heading: "SHARDS", cell: ({ shards }) => shards.join(" ") || "-", widthMin: 6 },
  ];
}

function shardColumns(view: View): TableColumn<Shards["shards"][number]>[] {
  return [
    { heading: "SHARD", cell: ({ shard }) => String(shard) },
    {
      heading: "OWNER",
      cell: ({ owner }) => owner ?? "nobody",
      style: ({ owner }) => (owner === null ? "red" : null),
      widthMin: 20,
    },
    { heading: "SINCE", cell: ({ since }) => timeText(since, view), widthMin: 8 },
    { heading: "BEHIND", cell: ({ entries_behind }) => String(entries_behind) },
    { heading: "DELAY", cell: ({ delay_ms }) => `${(delay_ms / 1_000).toFixed(1)} s` },
    { heading: "POSITION", cell: ({ position }) => position, widthMin: 10 },
    ...(view.brief
      ? []
      : [
          {
            heading: "WATERMARK",
            cell: ({ watermark }: Shards["shards"][number]) => timeText(watermark, view),
          },
          { heading: "EPOCH", cell: ({ epoch }: Shards["shards"][number]) => String(epoch ?? "-") },
        ]),
  ];
}

function setCommand(): Command {
  const command = new Command("set")
    .description(
      "Change the number of shards, with all windows. The engines stop for moments, and events wait meanwhile; nothing is lost. " +
        "Waits until it is done.",
    )
    .addArgument(
      new Argument("<count>", "how many shards: at least one for each engine that should work").argParser(
        readWholeNumber(1, shardCountMax),
      ),
    );
  addConnection(command);
  addExamples(command, [["tripline shards set 6", "six parts, so that up to six engines can work"]]);
  return command.action(async (count: number, options: ConnectionOptions) => {
    await withServer(options, async (tripline) => {
      const before = await tripline.shards.read();
      if (before.count === count && before.change === null) {
        console.error(`There are ${counted(count, "shard")} already.`);
        return;
      }
      await tripline.shards.setCount(count);
      await untilChanged(tripline, count);
      console.error(`There are ${counted(count, "shard")} now.`);
    });
  });
}

const lookEveryMs = 250;

/** @throws CommandFailure if the engines give up, or none is left */
async function untilChanged(tripline: Tripline, count: number): Promise<void> {
  for (;;) {
    const { count: present, change, engines } = await tripline.shards.read();
    if (present === count) return;
    if (change === null) throw new CommandFailure("The change of the number of shards was withdrawn.");
    if (change.failure !== null)
      throw new CommandFailure(`The number of shards stays as it is: ${change.failure}.`);
    if (engines.length === 0)
      throw new CommandFailure("No engine is running any more. The next one that starts makes the change.");
    await pause(lookEveryMs);
  }
}
