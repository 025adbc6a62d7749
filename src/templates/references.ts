/**
 * References to the environment in the texts of actions: `${env.NAME}`, and `$${env.NAME}` for the literal text.
 *
 * Their values are secrets. They are put in only after a template was rendered, in the place of a token that nobody
 * can guess, so that an event whose data reads `${env.NAME}` never gets the value; and they are taken out again of
 * everything that is shown.
 */

import { randomBytes } from "node:crypto";
import {
  referencedValue,
  referenceTo,
  replaceReferences,
  unescapeReference,
} from "../core/model/reference.ts";
import { TemplateError } from "./template.ts";

export type Secrets = Readonly<Record<string, string>>;

/** @throws TemplateError when a reference has neither a value nor a default */
export function fillReferences(text: string, secrets: Secrets): string {
  return replaceReferences(text, {
    escaped: unescapeReference,
    reference(reference) {
      const value = referencedValue(reference, secrets);
      if (value !== undefined) return value;
      const { name } = reference;
      throw new TemplateError(`${referenceTo(name)} has no value; set ${name} and load the rule again`);
    },
  });
}

/**
 * Replaces each reference in a template by a token.
 *
 * @returns the template, and what puts the values in the place of the tokens in what it renders to
 */
export function withTokens(
  source: string,
  secrets: Secrets,
): { source: string; fill: (text: string) => string } {
  // Digits between characters of a private area: no filter on letters changes them, and no expression can hold them.
  const random = BigInt(`0x${randomBytes(16).toString("hex")}`).toString();
  const found: string[] = [];
  const tokenFor = (written: string): string => `\uE000${random}-${found.push(written) - 1}\uE001`;
  const replaced = replaceReferences(source, {
    escaped: tokenFor,
    reference: (_reference, written) => tokenFor(written),
  });
  const token = new RegExp(`\uE000${random}-(\\d+)\uE001`, "g");
  return {
    source: replaced,
    fill: (text) =>
      text.replaceAll(token, (_, index: string) => fillReferences(found[Number(index)] ?? "", secrets)),
  };
}

/** A way to take secrets out of a text. */
export type Redact = (text: string) => string;

/**
 * @param more further texts that must not be shown, by what is shown in their place
 * @returns what puts the reference in the place of each secret's value, in whatever form the value may have been sent
 */
export function redactionOf(secrets: Secrets, more: Readonly<Record<string, string>> = {}): Redact {
  const shown = new Map<string, string>();
  const named = Object.entries(secrets).map(([name, value]) => [value, referenceTo(name)] as const);
  for (const [value, instead] of [...named, ...Object.entries(more)]) {
    if (value.length < lengthMin) continue;
    for (const form of formsOf(value).map((text) => text.toLowerCase())) {
      if (!shown.has(form)) shown.set(form, instead);
    }
  }
  if (shown.size === 0) return (text) => text;
  // Longest first, so that a secret that begins with another one is not left in part.
  const forms = [...shown.keys()].sort((a, b) => b.length - a.length);
  // Whatever the case: the names of hosts and protocols are turned to lower case when they are sent.
  const anyForm = new RegExp(forms.map(literally).join("|"), "gi");
  return (text) => text.replaceAll(anyForm, (found) => shown.get(found.toLowerCase()) ?? "…");
}

/** A pattern for exactly this text. */
function literally(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/** Shorter values are no secrets, and to replace each occurrence of `80` would tell more than it hides. */
const lengthMin = 4;

function formsOf(value: string): string[] {
  const inJson = JSON.stringify(value).slice(1, -1);
  const base64 = Buffer.from(value).toString("base64");
  return [value, encodeURIComponent(value), encodeURI(value), inJson, base64, base64.replace(/=+$/, "")];
}
