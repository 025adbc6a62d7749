/** What a rule file defines can be changed only there. */

import { DetailSchema } from "./answers.ts";
import { Refusal } from "./refusal.ts";

/** The answer of an operation that would change it. */
export const fromFile = {
  description: "A rule file defines it; `detail` names the file.",
  schema: DetailSchema,
};

/** @throws Refusal 409 if a rule file defines it */
export function refuseFromFile(
  name: string,
  source: { readonly kind: "api" } | { readonly kind: "file"; readonly file: string },
): void {
  if (source.kind !== "file") return;
  const detail = `${JSON.stringify(name)} is defined in ${source.file}; change it there`;
  throw new Refusal(409, "from_file", { detail });
}
