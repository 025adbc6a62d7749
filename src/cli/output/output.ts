/** How every command prints: tables for people, JSON and YAML for programs. */

import { type Command, Option } from "commander";
import { visit } from "yaml";
import { yamlDocumentOf } from "../../rules/yaml-document.ts";
import { wantsColor } from "./style.ts";
import { harmless } from "./text.ts";
import { type View, type ViewOptions, viewOf } from "./view.ts";

export const outputFormats = ["table", "json", "yaml"] as const;

export type OutputFormat = (typeof outputFormats)[number];

export interface OutputOptions extends ViewOptions {
  readonly output: OutputFormat;
}

const group = "Output:";

/** Adds the options that say how to print. @param fallback the format when none is given */
export function addOutput(command: Command, fallback: OutputFormat = "table"): Command {
  command.addOption(
    new Option("-o, --output <format>", "print as").choices(outputFormats).default(fallback).helpGroup(group),
  );
  command.addOption(
    new Option("--json", "print as JSON, the same as --output json")
      .implies({ output: "json" satisfies OutputFormat })
      .helpGroup(group),
  );
  return addView(command);
}

/** Adds the options of what people read. */
export function addView(command: Command): Command {
  return command
    .addOption(new Option("--wide", "cut nothing; print whole ids and exact times").helpGroup(group))
    .addOption(new Option("--utc", "print times in UTC, not in local time").helpGroup(group));
}

/** Adds `--json` to a command that otherwise prints text. */
export function addJson(command: Command, description: string): Command {
  return command.addOption(new Option("--json", description).helpGroup(group));
}

/** Prints a value as JSON or YAML, or else the text that is made from it. */
export function print(value: unknown, options: OutputOptions, asText: (view: View) => string): void {
  if (options.output === "json") console.log(JSON.stringify(value, null, 2));
  else if (options.output === "yaml") process.stdout.write(asYaml(value));
  else console.log(asText(stdoutView(options)));
}

/** Prints one of a stream of values: one line of JSON, one YAML document, or one line of text. */
export function printNext(value: unknown, options: OutputOptions, asText: (view: View) => string): void {
  if (options.output === "json") console.log(JSON.stringify(value));
  else if (options.output === "yaml") process.stdout.write(`---\n${asYaml(value)}`);
  else console.log(asText(stdoutView(options)));
}

export function asYaml(value: unknown): string {
  const document = yamlDocumentOf(value);
  // Only there can an escape stand for a character.
  visit(document, {
    Scalar(_key, scalar) {
      if (typeof scalar.value === "string" && harmless(scalar.value) !== scalar.value)
        scalar.type = "QUOTE_DOUBLE";
    },
  });
  return document.toString();
}

export function stdoutView(options: ViewOptions): View {
  return viewOf(options, wantsColor());
}
