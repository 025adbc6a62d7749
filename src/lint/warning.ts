/** Warnings: rules that are valid, but almost certainly a mistake. The meaning of a code never changes. */

import type { Automation } from "../core/model/automation.ts";
import type { Place } from "../rules/diagnostic.ts";

/** Every code and what it warns of. docs/rule-warnings.md describes each. */
export const warningCodes = {
  TL101: "a list of values is empty",
  TL102: "no value meets a condition",
  TL103: "every expected event opens a new window",
  TL104: "children never share a key",
  TL105: "the expectation can never be met",
  TL106: "a label is misspelled",
  TL107: "a condition reads the payload",
  TL108: "a value is written as a comparison",
  TL109: "a pattern is written as a regular expression",
  TL201: "it matches everything",
  TL202: "a negated pattern holds if any one related resource does not match",
  TL203: "a list mixes positive and negated patterns",
  TL204: "events in after satisfy expect as well",
  TL205: "brackets act as a character class",
  TL301: "it reacts to its own consequences",
  TL401: "within is shorter than the lateness",
  TL402: "counts are kept for every key, without bound",
  TL403: "keys that never come back are expected forever",
  TL404: "the children of a composite must fire at the same instant",
  TL405: "a composite forgets before a child can fire",
  TL406: "a schedule forgets keys between ticks",
  TL407: "a cron expression names days of the month and of the week",
  TL408: "within is a day of 24 hours, not a calendar day",
  TL409: "a silence is used as a guard",
  TL410: "a tick finds the last window still open",
  TL501: "threshold 0 means 1",
  TL502: "lateness has no effect",
  TL503: "it has no actions",
  TL504: "actions_on_resolve never run",
  TL601: "a template needs an event, but there may not be one",
  TL602: "a template reads a label that is not a key",
  TL603: "an action names an unknown automation",
  TL604: "an event decides the host of a webhook",
  TL605: "a payload that is JSON as a text may become invalid",
  TL606: "a key is written as a template",
  TL901: "a tripline-ignore comment cannot be read",
  TL902: "a tripline-ignore comment silences nothing",
} as const;

export type WarningCode = keyof typeof warningCodes;

/** A warning at its place. */
export interface Warning extends Place {
  readonly file: string;
  readonly code: WarningCode;
  /** What is almost certainly a mistake, as found. Never contains the value of a secret. */
  readonly reason: string;
  readonly fix: string;
  /** The name of the automation; null for a comment that belongs to no automation. */
  readonly automation: string | null;
}

/** Keys and indexes from the root of an automation: `["trigger", "expect", 0]`. */
export type RulePath = readonly (string | number)[];

/** A warning whose line is not known yet. */
export interface Finding {
  readonly code: WarningCode;
  readonly automation: Automation;
  readonly path: RulePath;
  readonly reason: string;
  readonly fix: string;
  /** Other automations involved. A comment at any of them silences the warning. */
  readonly others?: readonly Automation[];
}

/** What a check of one automation found. */
export type TriggerFinding = Omit<Finding, "automation">;

/** `file:line:column: warning TL104: reason; fix`. */
export function formatWarning({ file, line, column, code, reason, fix }: Warning): string {
  return `${file}:${line}:${column}: warning ${code}: ${reason}; ${fix}`;
}

/** A name, label or pattern as it is shown in messages. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}
