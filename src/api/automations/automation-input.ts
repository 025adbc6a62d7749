/**
 * Reads an automation from a request: checks it completely, lists every mistake, and separates its secrets.
 *
 * Unknown keys of the automation itself are mistakes; those inside a trigger or an action are ignored, as in Prefect.
 */

import { z } from "zod";
import {
  type ActionDefinition,
  ActionSchema,
  fieldKind,
  templatesLengthOf,
  textsOf,
} from "../../core/model/action.ts";
import {
  type Automation,
  type AutomationDefinition,
  AutomationSchema,
  actionLists,
  canonicalJson,
  sameTrigger,
} from "../../core/model/automation.ts";
import { automationView } from "../../core/model/automation-view.ts";
import { isHostHeader } from "../../core/model/header.ts";
import { templatesLengthMax } from "../../core/model/limits.ts";
import { isRecord } from "../../core/model/record.ts";
import { firstReferenceIn, referencesIn, referenceTo, soleReferenceIn } from "../../core/model/reference.ts";
import { secretMask } from "../../core/model/secret.ts";
import { withTriggerIds } from "../../core/model/trigger.ts";
import { takesHostFromTemplate } from "../../core/model/url.ts";
import { actionTextProblem } from "../../templates/action-checks.ts";
import { isTemplate } from "../../templates/template.ts";
import { invalidRequest, mistakesOf, type Refusal, type RequestMistake } from "../http/refusal.ts";
import type { UncheckedBody } from "../http/request-body.ts";
import { actionMeant } from "../prefect/action-stand-ins.ts";
import { looksSameToPrefect } from "../prefect/trigger-view.ts";

export interface InputContext {
  readonly workspace: string;
  /** The stored automation; null for a new one. */
  readonly previous: Automation | null;
  /** True for Prefect's client, which drops the fields that it does not know. */
  readonly fromPrefect: boolean;
}

export type AutomationInput = AutomationDefinition & Pick<Automation, "secrets" | "owner">;

const { actions, ...shape } = AutomationSchema.shape;
const required = { ...shape, actions: actions.unwrap() };

/** The body of a PUT. */
export const AutomationUpdateSchema = z.strictObject(required).meta({ id: "AutomationUpdate" });

/** The body of a creation. */
export const AutomationCreateSchema = z
  .strictObject({
    ...required,
    owner_resource: z
      .string()
      .nullable()
      .default(null)
      .meta({ description: "The id of the resource that owns it. Not returned." }),
  })
  .meta({ id: "NewAutomation" });

/** How deep triggers and payloads may nest: far deeper than any real one. */
export const depthMax = 50;

/**
 * Reads an automation, and gives its triggers ids.
 *
 * @param body nests at most `depthMax` levels deep
 * @throws Refusal 422 with every mistake
 */
export function readAutomation(
  { value: sent, schema }: UncheckedBody<typeof AutomationCreateSchema | typeof AutomationUpdateSchema>,
  context: InputContext,
): AutomationInput {
  const { previous } = context;
  const meant = meantBy(sent, context);
  const parsed = parseIgnoring(schema, meant);
  if (!parsed.success) {
    const found = mistakesOf(parsed.error.issues, ["body"], meant);
    throw refusal([...found, ...textMistakesBeside(found, meant)], sent);
  }
  const { owner_resource: owner = null, ...given } = { owner_resource: null, ...parsed.data };
  const kept = Object.fromEntries(
    Object.keys(given)
      .filter((key) => previous !== null && !Object.hasOwn(meant as object, key))
      .map((key) => [key, previous?.[key as keyof AutomationDefinition]]),
  );
  const definition: AutomationDefinition = { ...given, ...kept };

  const mistakes = actionLists.flatMap((list) =>
    list in kept
      ? []
      : definition[list].flatMap((action, index) => mistakesIn(action, ["body", list, index])),
  );
  const { actions: withReferences, secrets } = withSecretsApart(definition, kept, previous, mistakes);
  if (mistakes.length > 0) throw refusal(mistakes, sent);
  const trigger = withTriggerIds(definition.trigger, () => crypto.randomUUID());
  return { ...definition, ...withReferences, trigger, secrets, ...(owner === null ? {} : { owner }) };
}

/** A refusal quotes the request and may end up in logs, so it must not hold secrets. */
function refusal(mistakes: readonly RequestMistake[], sent: unknown): Refusal {
  const shown = mistakes.map((mistake) => ({
    ...mistake,
    input: mistake.loc.includes("secret") ? null : withoutSecrets(mistake.input),
  }));
  return invalidRequest(shown, withoutSecrets(sent));
}

function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (!isRecord(value)) return value;
  const entries = Object.entries(value).map(([key, part]) => [
    key,
    key === "secret" ? secretMask : withoutSecrets(part),
  ]);
  return Object.fromEntries(entries);
}

/** The body, with stand-ins replaced by the real actions and trigger. */
function meantBy(sent: unknown, { previous, workspace, fromPrefect }: InputContext): unknown {
  if (!isRecord(sent)) return sent;
  const meant: Record<string, unknown> = { ...sent };
  const view = previous === null ? null : automationView(previous);
  const known = view === null ? [] : actionLists.flatMap((list) => view[list]);
  for (const list of actionLists) {
    const items = meant[list];
    if (Array.isArray(items)) meant[list] = items.map((item) => actionMeant(item, known, workspace));
  }
  meant["trigger"] = withTypes(meant["trigger"]);
  if (meant["trigger"] === undefined) delete meant["trigger"];
  // Prefect's client does not see all parts of a trigger, so it cannot have meant to remove the others.
  if (fromPrefect && previous !== null) {
    const parsed = parseIgnoring(AutomationUpdateSchema.shape.trigger, meant["trigger"]);
    if (parsed.success && looksSameToPrefect(parsed.data, previous.trigger)) {
      meant["trigger"] = previous.trigger;
    }
  }
  return meant;
}

/** A composite trigger is recognized by its children, even when its type was left out. */
function withTypes(trigger: unknown): unknown {
  if (!isRecord(trigger) || !Array.isArray(trigger["triggers"])) return trigger;
  const type = trigger["type"] ?? ("require" in trigger ? "compound" : "sequence");
  return { ...trigger, type, triggers: trigger["triggers"].map(withTypes) };
}

/** Parses with a schema, ignoring unknown keys below the first level. */
function parseIgnoring<T extends z.ZodType>(schema: T, value: unknown): z.ZodSafeParseResult<z.output<T>> {
  let mended = value;
  for (;;) {
    const parsed = schema.safeParse(mended);
    const unknown: Removal = { keys: new Set(), within: new Map() };
    for (const issue of parsed.error?.issues ?? []) {
      if (issue.code !== "unrecognized_keys" || issue.path.length === 0) continue;
      const { keys } = removalAt(unknown, issue.path);
      for (const key of issue.keys) keys.add(key);
    }
    if (unknown.within.size === 0) return parsed;
    mended = without(mended, unknown);
  }
}

/** The keys to remove from a value, and from the values within it. */
interface Removal {
  readonly keys: Set<string>;
  readonly within: Map<string, Removal>;
}

function removalAt(root: Removal, path: readonly PropertyKey[]): Removal {
  let removal = root;
  for (const step of path.map(String)) {
    const inner = removal.within.get(step) ?? { keys: new Set(), within: new Map() };
    removal.within.set(step, inner);
    removal = inner;
  }
  return removal;
}

/** The value without those keys, all removed in one pass. */
function without(value: unknown, { keys, within }: Removal): unknown {
  const mend = (part: unknown, key: string): unknown => {
    const inner = within.get(key);
    return inner === undefined ? part : without(part, inner);
  };
  if (Array.isArray(value)) return value.map((item, index) => mend(item, String(index)));
  if (!isRecord(value)) return value;
  const entries = Object.entries(value).flatMap(([key, part]) =>
    keys.has(key) ? [] : [[key, mend(part, key)]],
  );
  return Object.fromEntries(entries);
}

/** The mistakes in texts of actions where the schema has found others: all should be listed at once. */
function textMistakesBeside(found: readonly RequestMistake[], meant: unknown): RequestMistake[] {
  if (!isRecord(meant)) return [];
  const mistakes = actionLists.flatMap((list) => {
    const items = meant[list];
    // Too long to be parsed at once, which is a mistake that was found.
    if (!Array.isArray(items) || templatesLengthOf(items.map(knownFieldsOf)) > templatesLengthMax) return [];
    return items.flatMap((item, index) => mistakesIn(knownFieldsOf(item), ["body", list, index]));
  });
  const isPartOf = (inner: RequestMistake["loc"], outer: RequestMistake["loc"]) =>
    outer.every((step, index) => step === inner[index]);
  return mistakes.filter(({ loc }) => !found.some((mistake) => isPartOf(loc, mistake.loc)));
}

/** The fields of an action of a known type, of whatever types they are; none of anything else. */
function knownFieldsOf(item: unknown): UncheckedAction {
  const nothing = { type: "do-nothing" } as const;
  if (!isRecord(item)) return nothing;
  const shapes = ActionSchema.options.map((option) => ("in" in option ? option.in.shape : option.shape));
  const shape = shapes.find(({ type }) => type.value === item["type"]);
  if (shape === undefined) return nothing;
  const fields = Object.entries(item).filter(([field]) => Object.hasOwn(shape, field));
  return { ...Object.fromEntries(fields), type: shape.type.value };
}

type UncheckedAction = Readonly<Record<string, unknown>> & Pick<ActionDefinition, "type">;

/** The mistakes in an action that its schema cannot detect. */
function mistakesIn(action: UncheckedAction, loc: RequestMistake["loc"]): RequestMistake[] {
  return textsOf(action).flatMap(({ path, text }) => {
    const isSecret = fieldKind(String(path[0])) === "secret";
    if (isSecret && text === secretMask) return []; // replaced, or refused, below
    const msg =
      sentReferenceProblem(text, "put secrets into a destination or into secret") ??
      actionTextProblem(action.type, { path, text }, {});
    if (msg === null) return [];
    return [{ type: "value_error", loc: [...loc, ...path], msg, input: isSecret ? null : text }];
  });
}

/** What is wrong with a text that was sent: only rule files are loaded where references can be filled in. */
export function sentReferenceProblem(text: string, remedy: string): string | null {
  if (firstReferenceIn(text) === null) return null;
  return `References to the environment work only in rule files. Over the API, ${remedy}`;
}

/** Replaces each secret with a reference, as in automations from files. A mask means the stored secret. */
function withSecretsApart(
  definition: AutomationDefinition,
  kept: Readonly<Record<string, unknown>>,
  previous: Automation | null,
  mistakes: RequestMistake[],
): { actions: Partial<AutomationDefinition>; secrets: Record<string, string> } {
  const secrets: Record<string, string> = {};
  const actions: Record<string, ActionDefinition[]> = {};
  for (const list of actionLists) {
    actions[list] = definition[list].map((action, index) => {
      const isKept = list in kept;
      // What stays also keeps the values that its other texts refer to.
      if (isKept && previous !== null) {
        const referenced = referencedSecrets(action, previous);
        Object.assign(secrets, referenced);
        const isSent = action.type === "call-webhook" && Object.keys(referenced).length > 0;
        const changed = isSent ? rendersElsewhere(action, previous, definition) : null;
        if (changed !== null) {
          const msg = `The url of ${list}.${index}, which sends stored secrets, is a template whose host may depend on ${changed}; change the rule and apply it again`;
          mistakes.push({ type: "value_error", loc: ["body", changed], msg, input: null });
        }
      }
      if (action.type !== "call-webhook" || action.secret === undefined) return action;
      const masked = isKept || action.secret === secretMask;
      const secret = masked ? storedSecret(action, definition, previous, { list, index }) : action.secret;
      if (typeof secret !== "string") {
        const { problem: msg } = secret;
        mistakes.push({ type: "value_error", loc: ["body", list, index, "secret"], msg, input: secretMask });
        return action;
      }
      const name = `SECRET_OF_${list.toUpperCase()}_${index}`;
      secrets[name] = secret;
      return { ...action, secret: referenceTo(name) };
    });
  }
  return { actions, secrets };
}

/** The stored values that the texts of an action refer to, apart from its secret. */
function referencedSecrets(action: ActionDefinition, { secrets }: Automation): Record<string, string> {
  const names = textsOf(action).flatMap(({ path, text }) =>
    fieldKind(String(path[0])) === "secret" ? [] : referencesIn(text).map(({ name }) => name),
  );
  return Object.fromEntries(Object.entries(secrets).filter(([name]) => names.includes(name)));
}

type Webhook = Extract<ActionDefinition, { type: "call-webhook" }>;

/**
 * The stored secret of the webhook at the same index, or else of one that sends to the same place; or why a mask cannot
 * stand for it. Otherwise whoever may write automations could have requests to any address signed with it.
 */
function storedSecret(
  action: Webhook,
  definition: AutomationDefinition,
  previous: Automation | null,
  { list, index }: { readonly list: (typeof actionLists)[number]; readonly index: number },
): string | { readonly problem: string } {
  const none = "This is the mask of a stored secret, but this webhook has none; send the secret itself";
  if (previous === null) return { problem: none };
  let changed: string | null = null;
  for (const candidate of [previous[list][index], ...actionLists.flatMap((name) => previous[name])]) {
    if (candidate?.type !== "call-webhook" || candidate.secret === undefined) continue;
    const name = soleReferenceIn(candidate.secret)?.name;
    const isStored = name !== undefined && Object.hasOwn(previous.secrets, name);
    const secret = name === undefined ? candidate.secret : isStored ? previous.secrets[name] : undefined;
    if (secret === undefined) continue;
    const difference = goesElsewhere(candidate, action) ?? rendersElsewhere(action, previous, definition);
    if (difference === null) return secret;
    changed ??= difference;
  }
  if (changed === null) return { problem: none };
  return {
    problem: `The mask keeps a stored secret only while what decides where it goes is unchanged, and ${changed} changed; send the secret itself again`,
  };
}

/** What makes one webhook send to another place than another; null when both send to the same. */
function goesElsewhere(before: Webhook, after: Webhook): string | null {
  if (before.url !== after.url) return "url";
  return canonicalJson(hostHeadersOf(before)) === canonicalJson(hostHeadersOf(after))
    ? null
    : "the Host header";
}

/** What makes the template of a webhook's host render to another one, besides events; null when nothing does. */
function rendersElsewhere(action: Webhook, before: Automation, after: AutomationDefinition): string | null {
  const isFixed =
    !takesHostFromTemplate(action.url ?? "") && !hostHeadersOf(action).some(([, value]) => isTemplate(value));
  if (isFixed) return null;
  const changed = (["name", "description", "tags"] as const).find(
    (key) => canonicalJson(before[key]) !== canonicalJson(after[key]),
  );
  return changed ?? (sameTrigger(before.trigger, after.trigger) ? null : "trigger");
}

function hostHeadersOf({ headers }: Webhook): [string, string][] {
  return Object.entries(headers).filter(([name]) => isHostHeader(name));
}
