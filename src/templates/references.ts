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
import { type Budget, TemplateError } from "./template.ts";

export type Secrets = Readonly<Record<string, string>>;

/** @throws TemplateError when a reference has neither a value nor a default, or the budget is used up */
export function fillReferences(text: string, secrets: Secrets, budget: Budget): string {
  return replaceReferences(text, {
    escaped: unescapeReference,
    reference(reference) {
      const value = referencedValue(reference, secrets);
      if (value !== undefined) {
        budget.spendOnCharacters(value.length);
        return value;
      }
      const { name } = reference;
      throw new TemplateError(`${referenceTo(name)} has no value; set ${name} and load the rule again`);
    },
  });
}

/** Stands in for references while a template is rendered. */
export interface ReferenceTokens {
  /** Replaces each reference in a string of the template with a token. */
  readonly hide: (text: string) => string;
  /** Replaces the tokens in what was rendered with the values. @throws TemplateError */
  readonly fill: (text: string) => string;
}

/** Tokens for one rendering. */
export function referenceTokens(secrets: Secrets, budget: Budget): ReferenceTokens {
  // Digits between private-use characters: no filter changes them.
  let prefix = "";
  const found: string[] = [];
  const tokenFor = (written: string): string => {
    prefix ||= `\uE000${BigInt(`0x${randomBytes(16).toString("hex")}`)}-`; // most texts need none
    return `${prefix}${found.push(written) - 1}\uE001`;
  };
  return {
    hide: (text) =>
      replaceReferences(text, { escaped: tokenFor, reference: (_reference, written) => tokenFor(written) }),
    fill: (text) => {
      if (found.length === 0) return text;
      const [first = "", ...others] = text.split(prefix);
      const filled = others.map((part) => {
        const end = part.indexOf("\uE001");
        const written = /^\d+$/.test(part.slice(0, Math.max(end, 0)))
          ? found[Number(part.slice(0, end))]
          : undefined;
        // A filter has cut the token.
        if (written === undefined) return prefix + part;
        return fillReferences(written, secrets, budget) + part.slice(end + 1);
      });
      return first + filled.join("");
    },
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
    const forms = [value, ...partsOf(value)].flatMap(formsOf);
    for (const form of forms.map((text) => text.toLowerCase())) {
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
  const encoded = [encodeURIComponent(value.toWellFormed()), encodeURI(value.toWellFormed())];
  // Some write a slash in JSON as PHP does.
  return [value, ...encoded, inJson, inJson.replaceAll("/", "\\/"), base64, base64.replace(/={1,2}$/, "")];
}

/** Shorter words may be words like any other. */
const wordLengthMin = 12;
const partCountMax = 50;

/**
 * The parts of a secret that are secret by themselves, and that a receiver may quote alone: the token of a header, and the
 * credentials, path and parameters of a URL.
 */
function partsOf(value: string): string[] {
  const words = value.split(/[\s,;="']/).filter((word) => word.length >= wordLengthMin);
  const [, credentials] = /^basic ([\w+/=-]{4,8000})$/i.exec(value.trim()) ?? [];
  if (credentials !== undefined) words.push(...wordsOfLogin(Buffer.from(credentials, "base64").toString()));
  const url = /^\s*https?:/i.test(value) ? URL.parse(value) : null;
  if (url !== null) {
    const { pathname, username, password, searchParams } = url;
    const segments = pathname.split("/").filter((segment) => segment.length >= wordLengthMin);
    const login = `${username}:${password}`;
    words.push(...(pathname.length > 8 ? [pathname] : []), ...segments, ...segments.map(decoded));
    if (password !== "") words.push(...wordsOfLogin(login), ...wordsOfLogin(decoded(login)));
    words.push(...[...searchParams.values()].filter((parameter) => parameter.length >= 6));
  }
  return words.filter((word) => word.length >= lengthMin).slice(0, partCountMax);
}

/** `name:password`, and the password. */
function wordsOfLogin(login: string): string[] {
  const colon = login.indexOf(":");
  return colon === -1 ? [] : [login, login.slice(colon + 1)];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
