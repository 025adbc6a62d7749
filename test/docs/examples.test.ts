/**
 * Tries everything that a reader can copy from a document: rules are checked, JSON is parsed, commands are parsed by the
 * command line itself, and requests are sent to a real server. Some pages have further tests of their own.
 *
 * A block that cannot be tried gives the reason after its language: ```` ```sh not run: needs an account at Cloudflare ````.
 */

import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { checkRules } from "../../src/cli/check.ts";
import { standIn } from "../../src/templates/environment.ts";
import { startApi, type TestApi } from "../api/support.ts";
import { commandsIn, usageProblem } from "./commands.ts";
import { documents, type Fence, fencesOf, root } from "./fences.ts";

const shells = ["sh", "bash", "console"];
const fences = documents().flatMap((file) => fencesOf(file));
const tried = fences.filter(({ note }) => !note.startsWith("not run:"));

const fencesIn = (...languages: readonly string[]) =>
  tried.filter(({ language }) => languages.includes(language));
const placeOf = ({ file, line }: Fence, offset = 0): string => `${file}:${line + offset}`;

const folder = mkdtempSync(join(tmpdir(), "tripline-examples-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a block that is not run says why", () => {
  const withoutReason = fences
    .filter(({ note }) => note.startsWith("not run") && !/^not run: \S.{9,}/.test(note))
    .map((fence) => placeOf(fence));
  expect(withoutReason).toEqual([]);
});

/** The notes that a block of each language may have, besides `not run: <why>`. */
const kinds: Readonly<Record<string, readonly string[]>> = {
  // `edited`, `fixed`, `ignored`, `payload`, `body` and `verify` are for the test of that page.
  yaml: ["", "edited", "fixed", "ignored", "mistake", "payload"],
  json: ["", "body"],
  sh: ["", "verify"],
  bash: [""],
  console: [""],
  python: [""],
  go: [""],
  ts: [""],
  timeline: [""],
  jinja: [""],
  text: [""], // output, and other text that no one copies
  "": [""],
};

test("every block has a note that is known for its language", () => {
  const unknown = tried
    // `run: <name>`: a test of that page runs it.
    .filter(({ note }) => !/^run: [a-z-]+$/.test(note))
    .filter(({ language, note }) => kinds[language]?.includes(note) !== true)
    .map((fence) => `${placeOf(fence)}: "${fence.language} ${fence.note}"; add how to try it, or why not`);
  expect(unknown).toEqual([]);
});

test("commands are in shell blocks", () => {
  const wrong = fencesIn("", "text")
    .filter(({ text }) => /^(?:\$ )?(?:tripline|bin\/tripline|npx|npm|curl) /m.test(text))
    .map((fence) => `${placeOf(fence)}: mark this block as sh or console`);
  expect(wrong).toEqual([]);
});

describe("the YAML block", () => {
  /** A file for another program, known by its keys. */
  const isForeign = (value: unknown): boolean =>
    typeof value === "object" &&
    value !== null &&
    ["services", "apiVersion", "jobs", "groups"].some((key) => key in value);

  test.each(fencesIn("yaml").map((fence) => ({ place: placeOf(fence), fence })))(
    "at $place is valid",
    ({ fence }) => {
      const found = parseAllDocuments(fence.text);
      expect(found.flatMap(({ errors }) => errors.map(({ message }) => message))).toEqual([]);
      const [value] = found.map((document) => document.toJS());
      if (isForeign(value) || ["payload", "mistake"].includes(fence.note)) return;
      if (typeof value === "object" && value !== null && "cases" in value) return; // run by the page's own test
      writeFileSync(join(folder, "rules.yaml"), fence.text);
      let printed = "";
      const stdout = { write: (text: string) => (printed += text) };
      const env = { [standIn]: "https://example.com/" };
      const exitCode = checkRules(["rules.yaml"], { stdout, env, cwd: folder, color: false });
      expect(exitCode === 0 ? "" : printed).toBe("");
      expect(printed).not.toMatch(/^0 automations in/m);
    },
  );
});

describe("the JSON block", () => {
  test.each(fencesIn("json").map((fence) => ({ place: placeOf(fence), text: fence.text })))(
    "at $place is valid",
    ({ text }) => {
      expect(() => JSON.parse(text)).not.toThrow();
    },
  );
});

describe("the shell block", () => {
  const blocks = fencesIn(...shells).map((fence) => ({ place: placeOf(fence), fence }));
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: object };

  test.each(blocks)("at $place is valid, and the command line knows its commands", async ({ fence }) => {
    const { text, language } = fence;
    if (language !== "console") {
      const { stderr } = spawnSync("bash", ["-n"], { input: text });
      expect(String(stderr)).toBe("");
    }
    const problems: string[] = [];
    for (const { words, line } of commandsIn(text, language)) {
      const [program = "", ...args] = words;
      if (program === "tripline" || program === "bin/tripline") {
        const problem = await usageProblem(args);
        if (problem !== null) problems.push(`${placeOf(fence, line)}: ${words.join(" ")}: ${problem}`);
      }
      if (program !== "npm") continue;
      const [script] =
        args[0] === "run" ? args.slice(1) : ["start", "test"].includes(args[0] ?? "") ? args : [];
      if (script !== undefined && !(script in scripts))
        problems.push(`${placeOf(fence, line)}: no script ${script}`);
    }
    expect(problems).toEqual([]);
  });

  test("uses bin/tripline in README.md, and tripline elsewhere", () => {
    const wrong = blocks.flatMap(({ fence }) =>
      commandsIn(fence.text, fence.language)
        .filter(
          ({ words: [program] }) => program === (fence.file === "README.md" ? "tripline" : "bin/tripline"),
        )
        .map(({ line }) => placeOf(fence, line)),
    );
    expect(wrong.filter((place) => !place.startsWith("CONTRIBUTING.md"))).toEqual([]);
  });
});

// docs/ingest.md has its own test, which compares the output.
describe("the request", () => {
  const hasCurl = spawnSync("curl", ["--version"]).error === undefined;
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi({ history: true });
  });
  afterAll(() => api.stop());

  const requests = fencesIn(...shells)
    .filter(({ file }) => file !== "docs/ingest.md")
    .flatMap((fence) => commandsIn(fence.text, fence.language).map((command) => ({ fence, ...command })))
    .filter(({ words: [program], text }) => program === "curl" && text.includes("127.0.0.1:4200"))
    .map(({ fence, line, text }) => ({ place: placeOf(fence, line), text }));

  test.skipIf(!hasCurl).each(requests)("at $place succeeds", async ({ text }) => {
    const here = text
      .replaceAll("http://127.0.0.1:4200", api.url)
      .replace(/ \| (?:jq|grep|head|sort) .*/, "");
    const script = `curl() { command curl -s -o ${folder}/answer -w '%{http_code}\\n' "$@"; }\n${here}`;
    const { stdout } = await promisify(execFile)("bash", ["-euc", script], {
      env: { ...process.env, KEY: "" },
    });
    const answer = readFileSync(join(folder, "answer"), "utf8");
    expect(/^2\d\d$/m.test(stdout) ? "" : `${stdout} ${answer}`).toBe("");
  });
});

describe("the program", () => {
  const hasPython = spawnSync("python3", ["--version"]).status === 0;

  test
    .skipIf(!hasPython)
    .each(fencesIn("python").map((fence) => ({ place: placeOf(fence), text: fence.text })))(
    "at $place is valid Python",
    ({ text }) => {
      const { stderr } = spawnSync("python3", ["-c", "import ast, sys; ast.parse(sys.stdin.read())"], {
        input: text,
      });
      expect(String(stderr)).toBe("");
    },
  );

  test.each(fencesIn("ts").map((fence) => ({ place: placeOf(fence), text: fence.text })))(
    "at $place is valid TypeScript",
    ({ text }) => {
      expect(() => stripTypeScriptTypes(text)).not.toThrow();
    },
  );
});

describe("the check of commands", () => {
  test.each([
    ["tripline emit --event a --resource-id b", null],
    ["tripline deliveries redeliver ID", null],
    ["tripline emitt --event a", /unknown command/],
    ["tripline emit --evnt a", /unknown option/],
    ["tripline keys create --name a --rate lots", /rate/],
  ])("judges %s", async (line, problem) => {
    const [command] = commandsIn(line, "sh");
    const found = await usageProblem(command?.words.slice(1) ?? []);
    if (problem === null) expect(found).toBeNull();
    else expect(found).toMatch(problem);
  });

  test("reads quotes, comments, pipes and continued lines", () => {
    const text = `A=1 curl -d '{"a": "b c"}' \\\n  "http://x/" | jq .  # not this\nnpm ci && npm start > log`;
    expect(commandsIn(text, "sh").map(({ words }) => words)).toEqual([
      ["curl", "-d", '{"a": "b c"}', "http://x/"],
      ["jq", "."],
      ["npm", "ci"],
      ["npm", "start"],
    ]);
  });
});
