/** The HTTP headers that rules and destinations set. */

import { z } from "zod";
import { headersMax } from "./limits.ts";

/** Headers that the HTTP client sets itself, and refuses to take from callers. */
const reserved: ReadonlySet<string> = new Set([
  "content-length",
  "expect",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
]);

/** What is wrong with a header's name; null when a request can have it. */
export function headerNameProblem(name: string): string | null {
  const quoted = JSON.stringify(name);
  const isToken = /^[\w!#$%&'*+.^`|~-]+$/.test(name); // as in RFC 9110
  if (!isToken) return `${quoted} cannot be the name of a header; use letters, digits and hyphens`;
  if (!reserved.has(name.toLowerCase())) return null;
  return `the header ${quoted} is set by the connection itself; remove it`;
}

/** What is wrong with a header's value; null when a request can have it. Never repeats the value. */
export function headerValueProblem(value: string): string | null {
  if (/^[\t\x20-\x7e\x80-\xff]*$/.test(value.trim())) return null;
  return /[\r\n]/.test(value.trim())
    ? "a header's value should be one line; remove the line break"
    : "a header's value should be Latin-1 text; remove other characters, or encode them";
}

/** True for the header that chooses among the sites of one address: it decides where a request goes as the URL does. */
export function isHostHeader(name: string): boolean {
  return name.toLowerCase() === "host";
}

/** Headers by name. Checked before zod's record, which would drop one called `__proto__`. */
export function headersSchema<T extends z.ZodType<string>>(value: T) {
  const record = z.record(z.string(), value).superRefine(checkHeaderNames);
  const checked = z.preprocess((headers, context) => {
    if (typeof headers === "object" && headers !== null && Object.hasOwn(headers, "__proto__")) {
      const message = `"__proto__" cannot be the name of a header; remove it`;
      context.addIssue({ code: "custom", path: ["__proto__"], message });
    }
    return headers;
  }, record);
  return checked as unknown as typeof record; // which changes nothing, so it takes and gives the same
}

/** A zod refinement that refuses headers that no request can have. */
function checkHeaderNames(headers: Readonly<Record<string, unknown>>, context: z.RefinementCtx): void {
  const names = Object.keys(headers);
  if (names.length > headersMax) {
    const message = `A request may have at most ${headersMax} headers of its own; these are ${names.length}`;
    context.addIssue({ code: "custom", message, params: { type: "too_long" } });
    return;
  }
  for (const name of names) {
    const message = headerNameProblem(name);
    if (message !== null) context.addIssue({ code: "custom", path: [name], message });
  }
}
