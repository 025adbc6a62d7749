/** Warnings about actions: those that never run, name something unknown, or print less than they seem to. */

import { type ActionDefinition, fieldKind, textsOf } from "../core/model/action.ts";
import { type Automation, actionLists } from "../core/model/automation.ts";
import { nearMiss } from "../core/model/near-miss.ts";
import { isRecord } from "../core/model/record.ts";
import { takesHostFromEvent } from "../core/model/url.ts";
import { jsonTextProblem } from "../templates/json-text.ts";
import { isTemplate } from "../templates/template.ts";
import { templateUses } from "../templates/uses.ts";
import { isAlwaysOpen, type TriggerPart } from "./triggers.ts";
import { quoted, type RulePath, type TriggerFinding } from "./warning.ts";

export interface ActionContext {
  /** The names of all automations; null when not all are known. */
  readonly names: ReadonlySet<string> | null;
  /** True when another automation reacts to this one's firings. */
  readonly isWatched: boolean;
}

export function findActionMistakes(
  automation: Automation,
  part: TriggerPart,
  { names, isWatched }: ActionContext,
): TriggerFinding[] {
  const found: TriggerFinding[] = [];
  const lists = actionListsOf(automation);
  if (lists.every(({ actions }) => actions.length === 0) && !isWatched) {
    const reason = "it has no actions, and no other automation reacts to its firings, so they have no effect";
    found.push({
      code: "TL503",
      path: ["name"],
      reason,
      fix: "add actions:, or do-nothing if that is what you want",
    });
  }
  const resolves = part.kind === "event" && part.definition.posture === "Proactive";
  if (!resolves && automation.actions_on_resolve.length > 0) {
    const what = part.kind === "event" ? "a Reactive trigger" : `a ${part.definition.type} trigger`;
    const reason = `${what} is never resolved, because only an absence is, so these actions never run`;
    const fix = "move them to actions, or to an automation with posture: Proactive";
    found.push({ code: "TL504", path: ["actions_on_resolve"], reason, fix });
  }
  for (const { field, actions } of lists) {
    for (const [index, action] of actions.entries()) {
      found.push(...findUnknownAutomation(action, [field, index], names));
      if (action.type === "call-webhook" && action.url !== undefined && takesHostFromEvent(action.url)) {
        const reason =
          "the host comes from an event, so whoever can send events decides where the request goes";
        found.push({
          code: "TL604",
          path: [field, index, "url"],
          reason,
          fix: "write the host, or name a destination",
        });
      }
      for (const { key, path } of templateKeysOf(action, [field, index])) {
        const reason = `the key ${quoted(key)} is sent as it stands; only values are templates`;
        const fix = "write a fixed key, or all of it as one template: '{{ {event.event: 1} | tojson }}'";
        found.push({ code: "TL606", path, reason, fix });
      }
      for (const { text, path } of templatesOf(action, [field, index])) {
        const uses = templateUses(text);
        if (uses.needsEvent && field !== "actions_on_resolve" && mayLackEvent(part)) {
          const reason =
            "if no event was ever seen, event is empty, and so is everything that the template reads from it";
          const fix =
            'check first: {% if event %}…{% endif %}, or give a default: {{ … | default("never") }}';
          found.push({ code: "TL601", path, reason, fix });
        }
        const broken =
          action.type === "call-webhook" && path.length === 3 && path[2] === "payload"
            ? jsonTextProblem(text)
            : null;
        if (broken !== null) {
          const fix =
            "put it through tojson without quotes: {{ … | tojson }}, or write the payload as a mapping";
          found.push({ code: "TL605", path, reason: broken, fix });
        }
        const unknown = uses.labels.find((label) => !part.labels.includes(label));
        if (unknown === undefined) continue;
        const keys =
          part.labels.length === 0 ? "there are none" : `there are ${part.labels.map(quoted).join(", ")}`;
        const reason = `labels contains only the labels of for_each (${keys}), not ${quoted(unknown)}`;
        const fix = `add ${unknown} to for_each, or read it from event.resource`;
        found.push({ code: "TL602", path, reason, fix });
      }
    }
  }
  return found;
}

export function actionListsOf(
  automation: Automation,
): { readonly field: string; readonly actions: readonly ActionDefinition[] }[] {
  return actionLists.map((field) => ({ field, actions: automation[field] }));
}

function findUnknownAutomation(
  action: ActionDefinition,
  path: RulePath,
  names: ReadonlySet<string> | null,
): TriggerFinding[] {
  if (action.type !== "pause-automation" && action.type !== "resume-automation") return [];
  const { automation: name, automation_id: id } = action;
  if (names === null || name === undefined || typeof id === "string" || names.has(name)) return [];
  const near = nearMiss(name, names)?.word;
  const reason = `no automation in these rules is named ${quoted(name)}`;
  const fix =
    near === undefined
      ? "name an automation of these rules; for an automation that was created over the API, use its automation_id"
      : `did you mean ${quoted(near)}?`;
  return [{ code: "TL603", path: [...path, "automation"], reason, fix }];
}

/** True when the trigger may fire for a silence without any event before it. */
function mayLackEvent(part: TriggerPart): boolean {
  if (part.kind === "event") {
    if (part.definition.posture === "Reactive") return false;
    return part.definition.schedule !== undefined || (isAlwaysOpen(part) && part.labels.length === 0);
  }
  const completing = part.definition.type === "sequence" ? part.children.slice(-1) : part.children;
  return completing.some(mayLackEvent);
}

/** Keys of mappings that look like templates. */
function templateKeysOf(action: ActionDefinition, path: RulePath): { key: string; path: RulePath }[] {
  const found: { key: string; path: RulePath }[] = [];
  const search = (value: unknown, at: RulePath): void => {
    const entries = Array.isArray(value) ? value.entries() : isRecord(value) ? Object.entries(value) : [];
    for (const [key, item] of entries) {
      if (typeof key === "string" && isTemplate(key)) found.push({ key, path: [...at, key] });
      search(item, [...at, key]);
    }
  };
  for (const [field, value] of Object.entries(action))
    if (fieldKind(field) === "template") search(value, [...path, field]);
  return found;
}

function templatesOf(action: ActionDefinition, path: RulePath): { text: string; path: RulePath }[] {
  return textsOf(action)
    .filter((found) => fieldKind(String(found.path[0])) === "template")
    .map((found) => ({ text: found.text, path: [...path, ...found.path] }));
}
