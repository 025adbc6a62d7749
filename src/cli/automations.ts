/** `tripline automations` and `tripline windows`: what a running server has, and switching it on and off. */

import { Command } from "commander";
import type { AutomationView, Tripline, Window } from "../client/index.ts";
import { addConnection, asking, automationCalled, type ConnectionOptions } from "./connection.ts";
import { addOutput, counted, type OutputOptions, print, table } from "./output.ts";

type Options = ConnectionOptions & OutputOptions;

export function automationsCommand(): Command {
  return new Command("automations")
    .description("List, show, pause, resume and remove the automations of a running server.")
    .addCommand(listCommand())
    .addCommand(inspectCommand())
    .addCommand(
      changeCommand("pause", "pause automations: they neither count nor fire", "Paused", (tripline, { id }) =>
        tripline.automations.pause(id),
      ),
    )
    .addCommand(
      changeCommand("resume", "resume automations, with no open windows", "Resumed", (tripline, { id }) =>
        tripline.automations.resume(id),
      ),
    )
    .addCommand(
      changeCommand("rm", "remove automations", "Removed", (tripline, { id }) =>
        tripline.automations.delete(id),
      ),
    );
}

function listCommand(): Command {
  const command = new Command("ls").description("List all automations, by name.");
  return addOutput(addConnection(command)).action(async (options: Options) => {
    const automations = await asking(options, (tripline) => tripline.automations.list());
    print(automations, options.output, () =>
      table(
        ["NAME", "STATE", "TRIGGER", "ACTIONS", "FROM", "ID"],
        automations.map((automation) => [
          automation.name,
          automation.enabled ? "enabled" : "paused",
          triggerOf(automation),
          actionsOf(automation),
          sourceOf(automation),
          automation.id,
        ]),
      ),
    );
  });
}

function inspectCommand(): Command {
  const command = new Command("inspect")
    .description("Show an automation whole.")
    .argument("<automation>", "its name or id");
  return addOutput(addConnection(command), "yaml").action(async (name: string, options: Options) => {
    const automation = await asking(options, (tripline) => automationCalled(tripline, name));
    print(automation, options.output, () =>
      table(
        ["FIELD", "VALUE"],
        Object.entries(automation).map(([field, value]) => [
          field,
          typeof value === "string" ? value : JSON.stringify(value),
        ]),
      ),
    );
  });
}

function changeCommand(
  name: string,
  does: string,
  done: string,
  change: (tripline: Tripline, automation: AutomationView) => Promise<void>,
): Command {
  const command = new Command(name)
    .description(`${does[0]?.toUpperCase()}${does.slice(1)}.`)
    .argument("<automations...>", "their names or ids");
  return addConnection(command).action(async (names: string[], options: ConnectionOptions) => {
    await asking(options, async (tripline) => {
      // First all of them are found, so that a misspelt name changes nothing.
      const found: AutomationView[] = [];
      for (const each of names) found.push(await automationCalled(tripline, each));
      for (const automation of found) {
        await change(tripline, automation);
        console.error(`${done} ${automation.name} (${automation.id})`);
      }
    });
  });
}

export function windowsCommand(): Command {
  const command = new Command("windows")
    .description(
      "Show the open windows of a running server: what has been counted, what is missing, and until when.",
    )
    .argument("[automations...]", "names or ids; all of them by default");
  return addOutput(addConnection(command)).action(async (names: string[], options: Options) => {
    const shown = await asking(options, async (tripline) => {
      const automations =
        names.length === 0
          ? await tripline.automations.list()
          : await Promise.all(names.map((name) => automationCalled(tripline, name)));
      return Promise.all(automations.map(({ id }) => tripline.automations.windows(id)));
    });
    print(shown, options.output, () => {
      const rows = shown.flatMap(({ automation, windows }) =>
        windows.map((window) => [automation.name, ...windowCells(window)]),
      );
      if (rows.length === 0) return `No window is open in ${counted(shown.length, "automation")}.`;
      return table(["AUTOMATION", ...windowHeading], rows);
    });
  });
}

export const windowHeading: readonly string[] = ["TRIGGER", "KEY", "COUNT", "START", "END", "JUDGED"];

export function windowCells({
  trigger,
  labels,
  count,
  threshold,
  start,
  end,
  deadline,
  unresolved,
}: Window): string[] {
  const key = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
  return [
    trigger === "" ? "(root)" : trigger,
    key.join(" "),
    `${count} of ${threshold}${unresolved ? ", unresolved" : ""}`,
    start ?? "-",
    end ?? "-",
    deadline ?? "-",
  ];
}

function triggerOf({ trigger }: AutomationView): string {
  if (trigger.type !== "event") return `${trigger.type} of ${trigger.triggers.length}`;
  return `${trigger.posture} ${trigger.expect.join(", ") || "any event"}`;
}

function actionsOf({ actions, actions_on_trigger, actions_on_resolve }: AutomationView): string {
  return [...actions, ...actions_on_trigger, ...actions_on_resolve].map(({ type }) => type).join(", ") || "-";
}

function sourceOf({ source }: AutomationView): string {
  if (source.kind === "file") return source.file;
  return source.applied === undefined ? "API" : `API, applied from ${source.applied.file}`;
}
