/** `tripline automations`: the automations of a running server. */

import { Argument, Command } from "commander";
import type { AutomationView, Tripline } from "../client/index.ts";
import { describeRule } from "../core/model/describe-actions.ts";
import type { TriggerWords } from "../core/model/describe-trigger.ts";
import { completeWith } from "./completable.ts";
import { addConnection, type ConnectionOptions, findAutomation, withServer } from "./connection.ts";
import { addExamples } from "./help.ts";
import { addOutput, type OutputOptions, print } from "./output/output.ts";
import { fields, type TableColumn, table } from "./output/table.ts";
import { printable } from "./output/text.ts";
import { timeText } from "./output/times.ts";
import type { View } from "./output/view.ts";

type Options = ConnectionOptions & OutputOptions;

export function automationsCommand(): Command {
  return new Command("automations")
    .description("List, show, pause, resume and remove the automations of a running server.")
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(
      changeCommand("pause", {
        description: "Pause automations. They neither count nor fire, and their open windows are lost.",
        done: "Paused",
        change: (tripline, { id }) => tripline.automations.pause(id),
      }),
    )
    .addCommand(
      changeCommand("resume", {
        description: "Resume automations. They start with no open windows.",
        done: "Resumed",
        change: (tripline, { id }) => tripline.automations.resume(id),
      }),
    )
    .addCommand(
      changeCommand("rm", {
        description: "Remove automations. One from a rule file can only be removed there.",
        done: "Removed",
        change: (tripline, { id }) => tripline.automations.delete(id),
      }),
    );
}

function listCommand(): Command {
  const command = addConnection(addOutput(new Command("ls").description("List all automations, by name.")));
  addExamples(command, [
    ["tripline automations ls", "names, states, triggers and actions"],
    ["tripline automations ls --wide", "with ids, and nothing cut"],
  ]);
  return command.action(async (options: Options) => {
    const automations = await withServer(options, (tripline) => tripline.automations.list());
    print(automations, options, (view) =>
      automations.length === 0
        ? "There are no automations. Add some with: tripline apply rules"
        : table(columnsFor(options.wide === true), automations, view),
    );
  });
}

function columnsFor(wide: boolean): TableColumn<AutomationView>[] {
  return [
    { heading: "NAME", cell: ({ name }) => name, widthMin: 16 },
    {
      heading: "STATE",
      cell: ({ enabled }) => (enabled ? "enabled" : "paused"),
      style: ({ enabled }) => (enabled ? null : "yellow"),
    },
    { heading: "TRIGGER", cell: triggerText, widthMin: 16 },
    { heading: "ACTIONS", cell: actionsText, widthMin: 10 },
    { heading: "SOURCE", cell: sourceText, style: () => "dim", widthMin: 10 },
    ...(wide ? [{ heading: "ID", cell: ({ id }: AutomationView) => id }] : []),
  ];
}

function showCommand(): Command {
  const command = new Command("show")
    .alias("inspect")
    .description("Show one automation in full, as YAML, and what it does in plain words.")
    .addArgument(
      completeWith(
        "automations",
        new Argument("<automation>", "its name, its id, or the beginning of its id"),
      ),
    );
  addConnection(addOutput(command, "yaml"));
  addExamples(command, [["tripline automations show service-silent", "its definition and state"]]);
  return command.action(async (nameOrId: string, options: Options) => {
    const automation = await withServer(options, (tripline) => findAutomation(tripline, nameOrId));
    // In YAML, comments are for people, and programs skip them.
    if (options.output === "yaml")
      console.log(
        wordLines(automation)
          .map((line) => `# ${line}`)
          .join("\n"),
      );
    print(automation, options, (view) => automationFields(automation, view));
  });
}

function automationFields(automation: AutomationView, view: View): string {
  const { id, name, description, enabled, tags, trigger, created, updated } = automation;
  return fields(
    [
      ["name", name],
      ["id", id],
      ...(description === "" ? [] : [["description", description] as const]),
      ["state", enabled ? "enabled" : "paused"],
      ...(tags.length === 0 ? [] : [["tags", tags.join(", ")] as const]),
      ["means", wordLines(automation).join(" ")],
      ["trigger", JSON.stringify(trigger)],
      ["actions", actionsText(automation)],
      ["source", sourceText(automation)],
      ["created", timeText(created, view)],
      ["updated", timeText(updated, view)],
    ],
    view,
  );
}

/** What an automation does, in plain words, one line each. */
function wordLines(automation: AutomationView): string[] {
  const { actions, actions_on_resolve, ...trigger } = describeRule(automation);
  return [
    ...triggerLines(trigger),
    ...actions,
    ...actions_on_resolve.map((line) => `When the absence ends: ${line}`),
  ].map(printable);
}

function triggerLines({ summary, details, children = [] }: TriggerWords): string[] {
  const inner = children.flatMap((child, index) => {
    const [first, ...others] = triggerLines(child);
    return [`${index + 1}. ${first}`, ...others.map((line) => `   ${line}`)];
  });
  return [summary, ...inner, ...details];
}

interface Change {
  readonly description: string;
  /** Printed with the name of the automation. */
  readonly done: string;
  readonly change: (tripline: Tripline, automation: AutomationView) => Promise<void>;
}

function changeCommand(name: string, { description, done, change }: Change): Command {
  const command = new Command(name)
    .description(description)
    .addArgument(
      completeWith(
        "automations",
        new Argument("<automations...>", "their names, ids, or the beginnings of ids"),
      ),
    );
  addConnection(command);
  addExamples(command, [[`tripline automations ${name} service-silent job-failed`, "by name"]]);
  return command.action(async (namesOrIds: string[], options: ConnectionOptions) => {
    await withServer(options, async (tripline) => {
      // All are looked up before the first is changed, so that a misspelled name changes nothing.
      const found: AutomationView[] = [];
      for (const nameOrId of namesOrIds) found.push(await findAutomation(tripline, nameOrId));
      for (const automation of found) {
        await change(tripline, automation);
        console.error(printable(`${done} ${automation.name} (${automation.id})`));
      }
    });
  });
}

export function triggerText({ trigger }: AutomationView): string {
  if (trigger.type !== "event") return `${trigger.type} of ${trigger.triggers.length}`;
  return `${trigger.posture} ${trigger.expect.join(", ") || "any event"}`;
}

function actionsText({ actions, actions_on_trigger, actions_on_resolve }: AutomationView): string {
  const types = [...actions, ...actions_on_trigger, ...actions_on_resolve].map(({ type }) => type);
  const distinct = [...new Set(types)].map((type) => {
    const count = types.filter((each) => each === type).length;
    return count === 1 ? type : `${count} × ${type}`;
  });
  return distinct.join(", ") || "-";
}

function sourceText({ source }: AutomationView): string {
  if (source.file !== undefined) return source.file;
  return source.applied === undefined ? "API" : `API, applied from ${source.applied.file}`;
}
