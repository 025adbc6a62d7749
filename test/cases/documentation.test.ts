/** The example of docs/testing-rules.md works as the page shows. */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { run, withoutTimes } from "./support.ts";

const text = readFileSync(resolve(import.meta.dirname, "../../docs/testing-rules.md"), "utf8");

/** The blocks of YAML that begin with the name of a file. */
const files = Object.fromEntries(
  [...text.matchAll(/^```yaml\n# (\S+)\n(.*?)^```$/gms)].map(([, file = "", content = ""]) => [
    file,
    `# ${file}\n${content}`,
  ]),
);

/** The indented blocks, without their indentation. */
const blocks = [...text.matchAll(/(?:^ {4}.*\n|^\n(?= {4}))+/gm)].map(([block]) =>
  withoutTimes(block.replaceAll(/^ {4}/gm, "").trim()),
);

const cases = files["pump-quiet.test.yaml"] ?? "";

test("the example passes and prints what the page shows", () => {
  const { exitCode, out } = run("", { files, paths: ["pump-quiet.test.yaml"] });
  expect(exitCode).toBe(0);
  expect(blocks).toContain(`$ tripline test pump-quiet.test.yaml\n${withoutTimes(out).trim()}`);
});

test("the example with a mistake fails as the page shows", () => {
  const wrong = cases.replace("at: 65s", "at: 60s");
  const changed = { ...files, "pump-quiet.test.yaml": wrong };
  const { exitCode, out } = run("", { files: changed, paths: ["pump-quiet.test.yaml"] });
  expect(exitCode).toBe(1);
  const [, failure = ""] = /^✗.*?\n\n(.*?)\n\n\d+ cases/s.exec(out) ?? [];
  expect(blocks).toContain(failure.replaceAll(/^ {2}/gm, "").trim());
});
