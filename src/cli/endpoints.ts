/** `tripline endpoints`: endpoints that are disabled, because they responded 410 Gone. */

import { Argument, Command } from "commander";
import type { DisabledEndpoint } from "../client/index.ts";
import { endpointName } from "../core/model/disabled-endpoint.ts";
import { completeWith } from "./completable.ts";
import { addConnection, type ConnectionOptions, withServer } from "./connection.ts";
import { CommandFailure } from "./failure.ts";
import { addExamples } from "./help.ts";
import { addOutput, type OutputOptions, print } from "./output/output.ts";
import { type TableColumn, table } from "./output/table.ts";
import { printable } from "./output/text.ts";
import { timeText } from "./output/times.ts";
import type { View } from "./output/view.ts";

type Options = ConnectionOptions & OutputOptions;

export function endpointsCommand(): Command {
  return new Command("endpoints")
    .description("Show endpoints that are disabled because they responded 410 Gone, and enable them again.")
    .addCommand(listCommand())
    .addCommand(enableCommand());
}

function listCommand(): Command {
  const command = new Command("ls").description(
    "List disabled endpoints, the latest first. Nothing is sent to them; their deliveries are dead letters.",
  );
  addConnection(addOutput(command));
  addExamples(command, [["tripline endpoints ls", "what is disabled, since when and why"]]);
  return command.action(async (options: Options) => {
    const endpoints = await withServer(options, (tripline) => tripline.endpoints.list());
    print(endpoints, options, (view) =>
      endpoints.length === 0 ? "No endpoint is disabled." : table(columnsFor(view), endpoints, view),
    );
  });
}

function columnsFor(view: View): TableColumn<DisabledEndpoint>[] {
  return [
    { heading: "SINCE", cell: ({ since }) => timeText(since, view), widthMin: 8 },
    { heading: "ENDPOINT", cell: endpointName, widthMin: 20 },
    { heading: "AUTOMATION", cell: ({ automation }) => automation.name, widthMin: 14 },
    { heading: "ID", cell: ({ id }) => id },
    { heading: "REASON", cell: ({ reason }) => reason, style: () => "red", widthMin: 10 },
  ];
}

function enableCommand(): Command {
  const command = new Command("enable")
    .description(
      "Enable an endpoint again. What it missed are dead letters; redeliver them if they are still wanted.",
    )
    .addArgument(
      completeWith(
        "endpoints",
        new Argument("<endpoint>", "its id, the beginning of it, its URL, or the name of the destination"),
      ),
    );
  addConnection(command);
  addExamples(command, [["tripline endpoints enable ops", "the destination ops works again"]]);
  return command.action(async (wanted: string, options: ConnectionOptions) => {
    const endpoint = await withServer(options, async (tripline) => {
      const found = oneOf(await tripline.endpoints.list(), wanted);
      await tripline.endpoints.enable(found.id);
      return found;
    });
    console.error(printable(`Enabled ${endpointName(endpoint)}.`));
    console.error(printable(`What it missed are dead letters. To send them: ${redelivery(endpoint)}`));
  });
}

/** The command that redelivers what an endpoint missed. The target of an action is its URL before it is rendered. */
function redelivery({ destination, since }: DisabledEndpoint): string {
  if (destination === null) return "tripline deliveries redeliver (the ids are in: tripline deliveries ls)";
  return `tripline deliveries redeliver --target '${destination}' --since ${since}`;
}

/** @throws CommandFailure unless exactly one endpoint is meant */
function oneOf(endpoints: readonly DisabledEndpoint[], wanted: string): DisabledEndpoint {
  const named = endpoints.filter(
    ({ id, destination, url }) => id === wanted || destination === wanted || url === wanted,
  );
  const found = named.length > 0 ? named : endpoints.filter(({ id }) => id.startsWith(wanted.toLowerCase()));
  const [endpoint, ...others] = found;
  if (endpoint !== undefined && others.length === 0) return endpoint;
  const problem =
    endpoint === undefined
      ? `No disabled endpoint is called ${wanted}, and no id of one begins so`
      : `${found.length} disabled endpoints have an id that begins with ${wanted}`;
  throw new CommandFailure(`${problem}. List them with: tripline endpoints ls`);
}
