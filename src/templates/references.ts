/**
 * References to the environment in the texts of actions: `${env.NAME}`, and `$${env.NAME}` for the literal text.
 *
 * Their values are secrets. They replace an unguessable token only after a template was rendered, so an event whose data
 * contains `${env.NAME}` never gets the value. They are redacted from everything that is shown.
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
 * Replaces each reference in a template with a token.
 *
 * @returns the template, and a function that replaces the tokens in the rendered text with the values
 */
export function withTokens(
  source: string,
  secrets: Secrets,
): { source: string; fill: (text: string) => string } {
  // Digits between private-use characters: no filter changes them, and no expression can contain them.
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

/** Takes secrets out of a text. */
export type Redact = (text: string) => string;

/**
 * @param more for each text shown as a replacement, another value that must not be shown
 * @returns a function that replaces each secret's value with its reference, in every form in which it may be sent
 */
export function redactionOf(secrets: Secrets, more: Readonly<Record<string, string>> = {}): Redact {
  const replacements = new Map<string, string>();
  const named = Object.entries(secrets).map(([name, value]) => [value, referenceTo(name)] as const);
  for (const [value, instead] of [...named, ...Object.entries(more)]) {
    if (value.length < lengthMin) continue;
    for (const form of formsOf(value).map((text) => text.toLowerCase())) {
      if (!replacements.has(form)) replacements.set(form, instead);
    }
  }
  if (replacements.size === 0) return (text) => text;
  // Longest first, so that no part is left of a secret that begins with another one.
  const forms = [...replacements.keys()].sort((a, b) => b.length - a.length);
  // In any case, because host names and protocols are sent in lower case.
  const anyForm = new RegExp(forms.map(literally).join("|"), "gi");
  return (text) => text.replaceAll(anyForm, (found) => replacements.get(found.toLowerCase()) ?? "…");
}

/** A regular expression that matches exactly this text. */
function literally(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/** Shorter values are not secrets, and replacing every `80` would reveal more than it hides. */
const lengthMin = 4;

function formsOf(value: string): string[] {
  const inJson = JSON.stringify(value).slice(1, -1);
  const base64 = Buffer.from(value).toString("base64");
  return [value, encodeURIComponent(value), encodeURI(value), inJson, base64, base64.replace(/={1,2}$/, "")];
}
