/**
 * Writes an automation as a rule file would define it: defaults left out, durations as people write them. It holds no
 * secrets, so one with a signing secret has to be completed before it can be applied.
 */

import { isScalar, isSeq, visit } from "yaml";
import { type ActionDefinition, fieldKind, webhookTimeoutDefault } from "../core/model/action.ts";
import { type Automation, actionLists } from "../core/model/automation.ts";
import { automationView } from "../core/model/automation-view.ts";
import { proactiveWithinMin } from "../core/model/limits.ts";
import { isRecord } from "../core/model/record.ts";
import { mentionsReferences } from "../core/model/reference.ts";
import { withoutSecretTexts } from "../core/model/rule-text.ts";
import { formatDuration, second } from "../core/model/time.ts";
import type { EventTriggerDefinition, TriggerDefinition } from "../core/model/trigger.ts";
import { yamlDocumentOf } from "./yaml-document.ts";

type Fields = Record<string, unknown>;

/** An automation as YAML, made from its definition. */
export function ruleYamlOf(automation: Automation): string {
  const { name, description, enabled, tags, trigger, ...view } = automationView(automation);
  const fields: Fields = escaped({
    name,
    ...(description === "" ? {} : { description }),
    ...(enabled ? {} : { enabled }),
    ...(tags.length === 0 ? {} : { tags }),
    trigger: triggerFields(trigger),
  }) as Fields;
  for (const list of actionLists) {
    if (view[list].length > 0) fields[list] = view[list].map(actionFields);
  }
  const json = JSON.stringify(fields, null, 2);
  // JSON is YAML, too, and takes a fraction of the time to write.
  if (json.length > layoutLengthMax)
    return withoutSecretTexts(`${json}\n`, Object.values(automation.secrets));
  const document = yamlDocumentOf(fields, { aliasDuplicateObjects: false });
  visit(document, {
    Seq(_key, list) {
      const texts = list.items.map((item) => (isScalar(item) ? String(item.value) : null));
      // Names and tags are easier to read on one line.
      list.flow = !texts.includes(null) && texts.join(", ").length <= inlineLengthMax;
    },
    Pair(_key, { key, value }) {
      // Unquoted, it would be a merge key.
      if (isScalar(key) && key.value === "<<") key.type = "QUOTE_DOUBLE";
      if (isSeq(value) && value.items.length === 0) value.flow = true;
    },
  });
  const yaml = document.toString({ lineWidth: 0, flowCollectionPadding: false });
  return withoutSecretTexts(yaml, Object.values(automation.secrets));
}

const inlineLengthMax = 80;

/** In characters of JSON. Longer ones, which only programs write, would take longer than a server may be busy. */
const layoutLengthMax = 200_000;

function triggerFields(trigger: TriggerDefinition): Fields {
  if (trigger.type === "event") return eventTriggerFields(trigger);
  const { type, triggers, within, for_each } = trigger;
  return {
    type,
    ...(trigger.type === "compound" && trigger.require !== "all" ? { require: trigger.require } : {}),
    within: within === null ? null : durationText(within),
    ...(for_each === undefined ? {} : { for_each }),
    triggers: triggers.map(triggerFields),
  };
}

function eventTriggerFields(trigger: EventTriggerDefinition): Fields {
  const { posture, after, expect, match, match_related, for_each, threshold, within } = trigger;
  const { schedule, lateness, refire, on_gap } = trigger;
  const hasRelated = Array.isArray(match_related) || Object.keys(match_related).length > 0;
  const isProactive = posture === "Proactive";
  const defaultWithin = isProactive && schedule?.until === undefined ? proactiveWithinMin / second : 0;
  return {
    ...(isProactive ? { posture } : {}),
    ...(after.length === 0 ? {} : { after }),
    ...(expect.length === 0 ? {} : { expect }),
    ...(Object.keys(match).length === 0 ? {} : { match }),
    ...(hasRelated ? { match_related } : {}),
    ...(for_each.length === 0 ? {} : { for_each }),
    ...(threshold === 1 ? {} : { threshold }),
    ...(schedule === undefined ? {} : { schedule: scheduleFields(schedule) }),
    ...(within === defaultWithin ? {} : { within: durationText(within) }),
    ...(lateness === undefined ? {} : { lateness: durationText(lateness) }),
    ...(refire === undefined ? {} : { refire }),
    ...(on_gap === undefined ? {} : { on_gap }),
  };
}

function scheduleFields(schedule: NonNullable<EventTriggerDefinition["schedule"]>): Fields {
  const { cron, timezone, remember, until, early } = schedule;
  return {
    cron,
    timezone,
    ...(remember === undefined ? {} : { remember: durationText(remember) }),
    ...(until === undefined ? {} : { until }),
    ...(early === undefined ? {} : { early: durationText(early) }),
  };
}

/** What an action need not say. */
const actionDefaults: Readonly<Record<string, readonly [field: string, value: unknown][]>> = {
  "call-webhook": [
    ["method", "POST"],
    ["timeout", webhookTimeoutDefault],
  ],
  "send-notification": [["subject", "{{ automation.name }}"]],
  "pause-automation": [["source", "selected"]],
  "resume-automation": [["source", "selected"]],
};

/** Left out when they are empty. */
const emptyByDefault: ReadonlySet<string> = new Set(["headers", "related", "payload"]);

function actionFields(action: ActionDefinition): Fields {
  const fields: Fields = {};
  // For a destination, POST and 15s override what it says, so they are not defaults.
  const defaults =
    "url" in action || action.type !== "call-webhook" ? actionDefaults[action.type] : undefined;
  for (const [field, value] of Object.entries(action)) {
    if (value === undefined || value === null) continue;
    if (defaults?.some((each) => each[0] === field && each[1] === value)) continue;
    const isEmptyDefault = emptyByDefault.has(field) && (action.type === "emit-event" || field === "headers");
    if (isEmptyDefault && Object.keys(value).length === 0) continue;
    const written =
      field === "timeout" && typeof value === "number"
        ? durationText(value)
        : field === "retry" && isRecord(value)
          ? retryFields(value)
          : value;
    fields[field] = fieldKind(field) === "setting" ? escaped(written) : written;
  }
  return fields;
}

function retryFields(retry: Readonly<Fields>): Fields {
  const { for: length, ...others } = retry;
  return { ...(typeof length === "number" ? { for: durationText(length) } : {}), ...others };
}

/** @param seconds as definitions store it */
function durationText(seconds: number): string {
  return formatDuration(Math.round(seconds * second));
}

/** Outside the texts of actions, references are filled in, so what looks like one there is ordinary text. */
function escaped(value: unknown): unknown {
  if (typeof value === "string")
    return mentionsReferences(value) ? value.replaceAll("${env.", "$$$${env.") : value;
  if (Array.isArray(value)) return value.map(escaped);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, escaped(part)]));
}
