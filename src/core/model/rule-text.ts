/**
 * The text of an automation, as someone wrote it. It affects no outcome: it is for people who look at the automation, and is
 * kept beside the definition, with the id of the definition that it was written for. With another definition it is outdated.
 */

import { type AutomationDefinition, canonicalJson, withoutTriggerIds } from "./automation.ts";
import { referencesIn } from "./reference.ts";
import { secretMask } from "./secret.ts";
import { withoutCredentialsIn } from "./url.ts";
import { triplineNamespace, uuid5 } from "./uuid.ts";

export interface RuleText {
  readonly yaml: string;
  /** The name of its rule file. */
  readonly file: string;
  /** The line of the file with which the text begins, from 1. */
  readonly line: number;
}

/**
 * What tells definitions apart: everything that a rule says, but for `enabled`, which people change over the API while the
 * text stays the same.
 */
export function definitionIdOf(definition: AutomationDefinition): string {
  const { name, description, tags, trigger, actions, actions_on_trigger, actions_on_resolve } = definition;
  const parts = [
    name,
    description,
    tags,
    withoutTriggerIds(trigger),
    actions,
    actions_on_trigger,
    actions_on_resolve,
  ];
  return uuid5(triplineNamespace, `definition ${canonicalJson(parts)}`);
}

/** Shorter values are words that may stand anywhere. What is a secret for certain is masked at its place. */
const secretLengthMin = 6;

const comment = /^[ \t]{0,100}#.*$/gm;
const secretInComment = /\bsecret["']?[ \t]{0,20}:[ \t]{0,20}/;
const reference = /^["']?\$\{env\.[A-Za-z0-9_]{1,200}\}/;

/** A comment without the secret in it: secrets are sometimes commented out while they are replaced. */
function withoutCommentedSecret(text: string): string {
  const found = secretInComment.exec(text);
  if (found === null) return text;
  const end = found.index + found[0].length;
  const value = text.slice(end);
  return value.trim() === "" || reference.test(value) ? text : text.slice(0, end) + secretMask;
}

/**
 * A text without the values of secrets, secrets in comments, and user names and passwords in URLs.
 *
 * @param values of references to the environment. One that the text itself gives as a default is not secret
 */
export function withoutSecretTexts(text: string, values: readonly string[]): string {
  let masked = withoutCredentialsIn(text).replaceAll(comment, withoutCommentedSecret);
  masked = masked.replaceAll(/\bwhsec_[A-Za-z0-9+/=]+/g, secretMask);
  const defaults = new Set(referencesIn(masked).map(({ fallback }) => fallback));
  for (const value of values) {
    if (value.length >= secretLengthMin && !defaults.has(value))
      masked = masked.replaceAll(value, secretMask);
  }
  return masked;
}
