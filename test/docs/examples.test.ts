/**
 * Whatever a reader can copy from a document is tried here: rules are checked, JSON is read, commands are parsed by the
 * command line itself, and requests are sent to a real server. Some pages have tests of their own that go further.
 *
 * A block that cannot be tried says why, after its language: ```` ```sh not run: needs an account at Cloudflare ````.
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

const of = (...languages: readonly string[]) => tried.filter(({ language }) => languages.includes(language));
const placeOf = ({ file, line }: Fence, offset = 0): string => `${file}:${line + offset}`;

const folder = mkdtempSync(join(tmpdir(), "tripline-examples-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a block that is not run says why", () => {
  const silent = fences
    .filter(({ note }) => note.startsWith("not run") && !/^not run: \S.{9,}/.test(note))
    .map((fence) => placeOf(fence));
  expect(silent).toEqual([]);
});

/** What a block may be, besides `not run: <why>`. */
const kinds: Readonly<Record<string, readonly string[]>> = {
  // `edited`, `fixed`, `ignored`, `payload`, `body`, `verify`: what the test of that page makes of it.
  yaml: ["", "edited", "fixed", "ignored", "payload"],
  json: ["", "body"],
  sh: ["", "verify"],
  bash: [""],
  console: [""],
  python: [""],
  go: [""],
  ts: [""],
  timeline: [""],
  jinja: [""],
  text: [""], // what is printed, and other things that nobody copies
  "": [""],
};

test("every block is of a kind that is tried", () => {
  const unknown = tried
    // `run: <name>`: a test of that page runs it.
    .filter(({ note }) => !/^run: [a-z-]+$/.test(note))
    .filter(({ language, note }) => kinds[language]?.includes(note) !== true)
    .map((fence) => `${placeOf(fence)}: "${fence.language} ${fence.note}"; add how to try it, or why not`);
  expect(unknown).toEqual([]);
});

test("commands stand in blocks of shell", () => {
  const wrong = of("", "text")
    .filter(({ text }) => /^(?:\$ )?(?:tripline|bin\/tripline|npx|npm|curl) /m.test(text))
    .map((fence) => `${placeOf(fence)}: mark this block as sh or console`);
  expect(wrong).toEqual([]);
});

describe("YAML", () => {
  /** A file for another program, known by its keys. */
  const isForeign = (value: unknown): boolean =>
    typeof value === "object" &&
    value !== null &&
    ["services", "apiVersion", "jobs", "groups"].some((key) => key in value);

  test.each(of("yaml").map((fence) => ({ place: placeOf(fence), fence })))("$place", ({ fence }) => {
    const found = parseAllDocuments(fence.text);
    expect(found.flatMap(({ errors }) => errors.map(({ message }) => message))).toEqual([]);
    const [value] = found.map((one) => one.toJS());
    if (isForeign(value) || fence.note === "payload") return;
    if (typeof value === "object" && value !== null && "cases" in value) return; // run by the page's own test
    writeFileSync(join(folder, "rules.yaml"), fence.text);
    let printed = "";
    const stdout = { write: (text: string) => (printed += text) };
    const env = { [standIn]: "https://example.com/" };
    const exitCode = checkRules(["rules.yaml"], { stdout, env, cwd: folder, color: false });
    expect(exitCode === 0 ? "" : printed).toBe("");
    expect(printed).not.toMatch(/^0 automations in/m);
  });
});

describe("JSON", () => {
  test.each(of("json").map((fence) => ({ place: placeOf(fence), text: fence.text })))(
    "$place",
    ({ text }) => {
      expect(() => JSON.parse(text)).not.toThrow();
    },
  );
});

describe("shell", () => {
  const blocks = of(...shells).map((fence) => ({ place: placeOf(fence), fence }));
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: object };

  test.each(blocks)("$place is shell, and the command line knows its commands", async ({ fence }) => {
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

  test("in a clone it is bin/tripline, elsewhere tripline", () => {
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

// docs/ingest.md has a test of its own, which compares what they print.
describe("requests", () => {
  const hasCurl = spawnSync("curl", ["--version"]).error === undefined;
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi({ history: true });
  });
  afterAll(() => api.stop());

  const requests = of(...shells)
    .filter(({ file }) => file !== "docs/ingest.md")
    .flatMap((fence) => commandsIn(fence.text, fence.language).map((command) => ({ fence, ...command })))
    .filter(({ words: [program], text }) => program === "curl" && text.includes("127.0.0.1:4200"))
    .map(({ fence, line, text }) => ({ place: placeOf(fence, line), text }));

  test.skipIf(!hasCurl).each(requests)("$place is answered", async ({ text }) => {
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

describe("programs", () => {
  const hasPython = spawnSync("python3", ["--version"]).status === 0;

  test.skipIf(!hasPython).each(of("python").map((fence) => ({ place: placeOf(fence), text: fence.text })))(
    "$place is Python",
    ({ text }) => {
      const { stderr } = spawnSync("python3", ["-c", "import ast, sys; ast.parse(sys.stdin.read())"], {
        input: text,
      });
      expect(String(stderr)).toBe("");
    },
  );

  test.each(of("ts").map((fence) => ({ place: placeOf(fence), text: fence.text })))(
    "$place is TypeScript",
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
  ])("%s", async (line, problem) => {
    const [command] = commandsIn(line, "sh");
    const found = await usageProblem(command?.words.slice(1) ?? []);
    if (problem === null) expect(found).toBeNull();
    else expect(found).toMatch(problem);
  });

  test("reads quotes, comments, pipes and lines that go on", () => {
    const text = `A=1 curl -d '{"a": "b c"}' \\\n  "http://x/" | jq .  # not this\nnpm ci && npm start > log`;
    expect(commandsIn(text, "sh").map(({ words }) => words)).toEqual([
      ["curl", "-d", '{"a": "b c"}', "http://x/"],
      ["jq", "."],
      ["npm", "ci"],
      ["npm", "start"],
    ]);
  });
});
