/** Turns an issue that zod found into a message: what is wrong, what was found, and the remedy. */

import type { z } from "zod";
import { ExactNumber } from "../core/json/exact-number.ts";
import { nearMiss } from "../core/model/near-miss.ts";
import { metricTriggerProblem } from "../core/model/trigger.ts";
import type { RuleNode } from "./rule-tree.ts";

/** An issue that zod found with a value. */
export type SchemaIssue = z.core.$ZodIssue;

/**
 * @param node the value that the issue is about, or null when it does not exist
 */
export function messageOf(issue: SchemaIssue, node: RuleNode | null): string {
  const name = nameOf(issue.path);
  const message = issue.message;
  if (node === null) {
    const missing = /^(Field required|Input|Invalid|An? \w+'s type)/.test(message);
    if (!missing) return message;
    const note = message.startsWith("Field") ? /\([^()]*\)/.exec(message)?.[0] : undefined;
    return `${name} is missing${note === undefined ? "" : ` ${note}`}; ${additions[name] ?? `add ${name}: …`}`;
  }
  if (message === metricTriggerProblem) return message;
  const choices = choicesOf(issue);
  if (choices !== null) {
    const near = suggestionFor(issue, node);
    const remedy = near === null ? "" : `; did you mean \`${near}\`?`;
    return `${name} should be ${listed(choices, "or")}; found ${shown(node, name)}${remedy}`;
  }
  const expected = expectedBy(issue);
  if (expected !== null) {
    return `${name} should be ${kinds[expected] ?? expected}; found ${shown(node, name)}${remedyFor(expected, node)}`;
  }
  const said = deepestMessage(issue).replace(/^(Input|Invalid input)\b/, name);
  const text = said === name ? `${name} is not valid here` : said;
  return withFound(withoutValue(text, node), node, name);
}

/** The choice most similar to a wrong value, where only a few words are allowed; null when none is similar. */
export function suggestionFor(issue: SchemaIssue, node: RuleNode): string | null {
  if (node.kind !== "scalar" || node.value === null) return null;
  return nearMiss(String(node.value), choicesOf(issue) ?? [])?.word ?? null;
}

/** The message for an unknown key. @param near the key that was probably meant @param known the keys that are allowed */
export function unknownKeyMessage(key: string, near: string | null, known: readonly string[]): string {
  if (near !== null) return `unknown key \`${key}\`; did you mean \`${near}\`?`;
  return `unknown key \`${key}\`; remove it (keys allowed here: ${listed(known, "and")})`;
}

export function listed(words: readonly string[], conjunction: "and" | "or"): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} ${conjunction} ${words.at(-1)}`;
}

/** A value as messages show it: a value from the environment as its reference, and a secret not at all. */
export function shown(node: RuleNode, name = ""): string {
  if (node.kind !== "scalar") return `a ${node.kind}`;
  if (node.written !== undefined) return `${node.written} (its value is not valid)`;
  if (node.value === null) return "nothing";
  if (name === "secret" || name === "token")
    return typeof node.value === "boolean"
      ? "a boolean"
      : typeof node.value === "string"
        ? "text"
        : "a number";
  const text = node.source ?? JSON.stringify(node.value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}…"`;
}

function remedyFor(expected: string, node: RuleNode): string {
  if (node.kind === "scalar" && node.value === null) return "; give it a value, or remove the key";
  if (expected === "array") {
    if (node.kind === "scalar" && node.written === undefined)
      return `; write it as a list: [${node.source ?? node.value}]`;
    return node.kind === "mapping" ? "; begin each item with a hyphen" : "";
  }
  if (node.kind !== "scalar" || node.written !== undefined) return "";
  const { value } = node;
  if (expected === "string") return typeof value === "string" ? "" : `; put it in quotes`;
  if (value instanceof ExactNumber && ["number", "int"].includes(expected))
    return `; use a number up to ${Number.MAX_SAFE_INTEGER}`;
  if (typeof value !== "string") return "";
  if (expected === "boolean") {
    if (/^(yes|y|on|true)$/i.test(value)) return "; write true, without quotes";
    return /^(no|n|off|false)$/i.test(value) ? "; write false, without quotes" : "";
  }
  const numeric = ["number", "int"].includes(expected) && /^-?\d+(\.\d+)?$/.test(value);
  return numeric ? "; remove the quotes" : "";
}

/** The allowed words, if the issue is that the value is not one of them. */
function choicesOf(issue: SchemaIssue): string[] | null {
  if (issue.code === "invalid_value") return issue.values.map(String);
  if (issue.code !== "invalid_union") return null;
  const options = (issue as { options?: readonly unknown[] }).options;
  return options?.filter((option) => typeof option === "string") ?? null;
}

/** The expected type, if the issue is that the value has another type. */
function expectedBy(issue: SchemaIssue): string | null {
  return issue.code === "invalid_type" ? issue.expected : null;
}

/** For a union, the message of the branch that has a custom message. */
function deepestMessage(issue: SchemaIssue): string {
  if (issue.code !== "invalid_union" || issue.message !== "Invalid input") return issue.message;
  const custom = issue.errors.flat().find(({ message }) => !message.startsWith("Invalid"));
  return custom?.message ?? issue.message;
}

/** Replaces the value that a schema quotes in its message with how it was written: its reference, or `1.10`. */
function withoutValue(message: string, node: RuleNode): string {
  if (node.kind !== "scalar") return message;
  if (node.written !== undefined) return message.replaceAll(JSON.stringify(node.value), node.written);
  return node.source === undefined ? message : message.replace(`"${node.value}"`, () => `"${node.source}"`);
}

function withFound(message: string, node: RuleNode, name: string): string {
  const isNamed = (text: string): boolean => message.includes(text);
  if (node.kind === "scalar" && node.value !== null && isNamed(node.source ?? String(node.value)))
    return message;
  return / should /.test(message) ? `${message}; found ${shown(node, name)}` : message;
}

function nameOf(path: readonly PropertyKey[]): string {
  const last = path.at(-1);
  if (last === undefined) return "an automation";
  return typeof last === "number" ? `${String(path.at(-2) ?? "item")}[${last}]` : String(last);
}

const kinds: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a mapping",
  record: "a mapping",
  null: "nothing",
};

const additions: Readonly<Record<string, string>> = {
  name: "give the automation a name, unique in its workspace",
  trigger: "add trigger: with what it expects",
  type: "add type: and say which",
};
