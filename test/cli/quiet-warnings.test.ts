/** Notes about experimental features are not printed between the lines of the log. */

import { execFile } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { root } from "./support.ts";

test("warnings of Node are printed, except those about experimental features", async () => {
  const module = pathToFileURL(join(root, "src/cli/quiet-warnings.ts")).href;
  const program = `
    import { dropExperimentalWarnings } from ${JSON.stringify(module)};
    dropExperimentalWarnings();
    process.emitWarning("new feature", "ExperimentalWarning");
    process.emitWarning("new option", { type: "ExperimentalWarning" });
    process.emitWarning(Object.assign(new Error("new error"), { name: "ExperimentalWarning" }));
    process.emitWarning("old feature", "DeprecationWarning");
    process.emitWarning("plain");
    process.emitWarning(new Error("wrong"));
  `;
  const { stderr } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program]);
  expect(stderr).not.toContain("new ");
  for (const text of ["DeprecationWarning: old feature", "plain", "wrong"]) expect(stderr).toContain(text);
});
