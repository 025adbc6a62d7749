/** Rules for the source tree: which part may import which, a pure core, unique names of types, short files. */

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");
const linesMax = 500;

/** Which parts of src/ each part may import, besides itself: core/model innermost, cli outermost. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  "core/json": [],
  "core/model": [],
  "core/machine": ["core/model"],
  retry: [],
  templates: ["core/model"],
  telemetry: ["core/model"],
  store: ["retry", "core/model", "core/machine"],
  reconcile: ["retry", "core/model", "core/machine", "store"],
  engine: ["retry", "core/model", "core/machine", "telemetry", "store"],
  delivery: ["retry", "core/model", "core/machine", "telemetry", "templates", "store"],
  history: ["retry", "core/model", "core/machine", "store"],
  rules: ["retry", "core/model", "core/machine", "templates"],
  lint: ["core/model", "core/machine", "templates", "rules"],
  cases: ["core/model", "core/machine", "templates", "delivery", "rules"],
  api: [
    "retry",
    "core/model",
    "core/machine",
    "telemetry",
    "templates",
    "store",
    "reconcile",
    "history",
    "lint",
  ],
  client: [],
  dashboard: ["client"],
  edge: ["retry", "core/model", "core/machine", "templates", "store", "api"],
  cli: [
    "retry",
    "core/model",
    "core/machine",
    "telemetry",
    "templates",
    "store",
    "reconcile",
    "engine",
    "delivery",
    "history",
    "rules",
    "lint",
    "cases",
    "api",
    "client",
    "edge",
  ],
};

const corePackages = ["zod", "cron-parser"];

/** What would make two runs of the core differ. */
const impurities: readonly { pattern: RegExp; found: string; remedy: string }[] = [
  {
    pattern: /\bDate\b/,
    found: "Date",
    remedy: "take the time from the log entry; src/core/model/time.ts reads and prints it",
  },
  {
    pattern: /\bMath\.random\b/,
    found: "Math.random",
    remedy: "derive ids from their cause (src/core/model/uuid.ts)",
  },
  {
    pattern: /\blocaleCompare\b/,
    found: "localeCompare",
    remedy: "compare with < and >: locales differ between machines",
  },
  { pattern: /\bIntl\b/, found: "Intl", remedy: "answers must not depend on the machine's locale data" },
  {
    pattern: /\basync\b|(?<![.#])\bawait\s+[\w(]|\bPromise\b/,
    found: "async",
    remedy: "the core is synchronous; wait in src/engine",
  },
  {
    pattern: /\bprocess\b|\bconsole\b|\bglobalThis\b/,
    found: "a global of Node",
    remedy: "pass in what is needed, and return what is to be reported",
  },
];

interface Source {
  readonly path: string;
  readonly text: string;
  /** Without comments and strings, for looking at names. */
  readonly code: string;
  readonly imports: readonly string[];
}

const sources: readonly Source[] = ["src", "test", "scripts", "bench"].flatMap(sourcesIn);
/** Without generated files: the client's types repeat the names of the API's components, because they are the same. */
const written = sources.filter(({ text }) => !/^\/\*\*[^/]*\bGenerated from\b/.test(text));

describe("in the source tree,", () => {
  test("parts import only parts further in", () => {
    const wrong = sources.flatMap(({ path, imports }) => {
      const part = partOf(path);
      if (part === null) return [];
      const allowed = mayImport[part];
      if (allowed === undefined)
        return [`${path}: src/${part} is a new part; say in ${thisFile} what it may import`];
      return imports.flatMap((specifier) => {
        if (!specifier.startsWith(".")) return [];
        const target = partOf(relative(root, resolve(root, dirname(path), specifier)));
        if (target === part || (target !== null && allowed.includes(target))) return [];
        // Innermost: how JSON is read is the same everywhere.
        if (target === "core/json") return [];
        // The version concerns the whole program, and reading it needs Node.
        if (specifier.endsWith("/version.ts") && !part.startsWith("core/")) return [];
        const may = allowed.length === 0 ? "nothing but itself" : `itself and ${allowed.join(", ")}`;
        return [`${path} imports ${specifier}: ${part} may import ${may}; pass the rest in from src/cli`];
      });
    });
    expect(wrong).toEqual([]);
  });

  test("the core imports no packages but zod and cron-parser", () => {
    const wrong = inCore().flatMap(({ path, imports }) =>
      imports
        .filter((specifier) => !specifier.startsWith(".") && !corePackages.includes(specifier))
        .map((specifier) => `${path} imports ${specifier}: put what needs it outside src/core`),
    );
    expect(wrong).toEqual([]);
  });

  test("the core has no clock, no randomness, no locale and no waiting", () => {
    const wrong = inCore().flatMap(({ path, code }) =>
      code
        .split("\n")
        .flatMap((line, index) =>
          impurities
            .filter(({ pattern }) => pattern.test(line))
            .map(({ found, remedy }) => `${path}:${index + 1} uses ${found}: ${remedy}`),
        ),
    );
    expect(wrong).toEqual([]);
  });

  test("the code that receives events needs no Node, so that it also runs at the edge", () => {
    const seen = new Set<string>();
    const wrong: string[] = [];
    const visit = (path: string): void => {
      if (seen.has(path)) return;
      seen.add(path);
      const source = sources.find((candidate) => candidate.path === path);
      for (const specifier of valueImportsOf(source?.text ?? "")) {
        if (specifier.startsWith(".")) visit(relative(root, resolve(root, dirname(path), specifier)));
        else if (!["hono", ...corePackages].includes(specifier)) wrong.push(`${path} imports ${specifier}`);
      }
    };
    for (const name of ["ingest", "hooks", "cloudevents"]) visit(`src/api/ingest/${name}.ts`);
    expect(seen.size).toBeGreaterThan(5);
    expect(wrong).toEqual([]);
  });

  test("the client imports nothing but itself and core/json, so that it and its types also work in browsers", () => {
    const files = sources.filter(({ path }) => path.startsWith("src/client/"));
    expect(files.length).toBeGreaterThan(5);
    const wrong = files.flatMap(({ path, imports }) =>
      imports
        .filter((specifier) => !/^\.(?:\/|\.\/core\/json\/)/.test(specifier))
        .map((specifier) => `${path} imports ${specifier}: a browser's project does not have it`),
    );
    expect(wrong).toEqual([]);
  });

  // JSON.parse turns 9400053101578681001 into another number.
  test("JSON from outside is read by parseExactJson", () => {
    const wrong = sources
      .filter(({ path }) => path.startsWith("src/") && !Object.hasOwn(ownJson, path))
      .flatMap(({ path, code }) =>
        [...code.matchAll(/\bJSON\.parse\b|\.json\(\)/g)].map(
          ([found]) =>
            `${path} uses ${found}: use parseExactJson, or say in ${thisFile} why no number in it can be large`,
        ),
      );
    expect(wrong).toEqual([]);
    const used = sources.filter(({ code }) => /\bJSON\.parse\b/.test(code)).map(({ path }) => path);
    expect(Object.keys(ownJson).filter((path) => !used.includes(path))).toEqual([]);
  });

  test("each type has a unique name, so that one word means one thing", () => {
    const files = new Map<string, string[]>();
    for (const { path, text } of written.filter(({ path }) => path.startsWith("src/"))) {
      for (const [, name = ""] of text.matchAll(typeDeclaration))
        files.set(name, [...(files.get(name) ?? []), path]);
    }
    const shared = [...files].filter(([, paths]) => paths.length > 1);
    expect(
      shared
        .filter(([name]) => !Object.hasOwn(sharedNames, name))
        .map(
          ([name, paths]) =>
            `${name} is declared in ${paths.join(" and ")}: rename one, or say why in ${thisFile}`,
        ),
    ).toEqual([]);
    const names = shared.map(([name]) => name);
    expect(Object.keys(sharedNames).filter((name) => !names.includes(name))).toEqual([]);
    expect(files.size).toBeGreaterThan(200);
  });

  test(`no file is longer than ${linesMax} lines`, () => {
    const wrong = written
      .map(({ path, text }) => ({ path, length: text.split("\n").length }))
      .filter(({ length }) => length > linesMax)
      .map(({ path, length }) => `${path} has ${length} lines: move one of its ideas into a file of its own`);
    expect(wrong).toEqual([]);
  });
});

// A check that looks at nothing would always pass.
describe("the checks themselves", () => {
  test("read the whole tree", () => {
    expect(inCore().length).toBeGreaterThan(10);
    expect(sources.find(({ path }) => path === "src/api/ingest/ingest.ts")?.imports).toContain(
      "../../core/model/event.ts",
    );
  });

  test("ignore comments and strings", () => {
    const code = withoutCommentsAndStrings(
      'const a = "new Date()"; // Date\n/* Date\n Date */ const b = `x ${Date.now()} Date`; const c = /"/; Date',
    );
    expect(code.match(/Date/g)).toHaveLength(2);
    expect(code.split("\n")).toHaveLength(3);
  });

  test("find every form of import", () => {
    const text =
      'import "a";\nimport x from "b";\nimport {\n  type T,\n} from "c";\nexport * from "d";\nawait import("e");\nimport type { U } from "f";';
    expect(importsOf(text)).toEqual(["a", "b", "c", "d", "e", "f"]);
    expect(valueImportsOf(text)).toEqual(["a", "b", "c", "d", "e"]);
  });
});

const thisFile = "test/tidy.test.ts";

/** The files that use JSON.parse, and why that changes no number. */
const ownJson: Readonly<Record<string, string>> = {
  "src/core/json/exact-json.ts": "this is parseExactJson",
  "src/core/machine/arrival.ts": "the core's own state",
  "src/core/machine/core.ts": "the core's own state",
  "src/core/machine/divide-state.ts": "the core's own state",
  "src/core/machine/keyed-states.ts": "the core's own state",
  "src/core/machine/loop-guard.ts": "the core's own state",
  "src/core/machine/proactive.ts": "the core's own state",
  "src/core/machine/reactive.ts": "the core's own state",
  "src/core/machine/opened-reactive.ts": "the core's own state",
  "src/core/machine/scheduled-reactive.ts": "the core's own state",
  "src/core/machine/seen.ts": "the core's own state",
  "src/api/events/page-token.ts": "a filter, which holds times beyond 2^53 as doubles",
  "src/cli/find-redis.ts": "Tripline's own note of a port",
  "src/cli/logger.ts": "Tripline's own log lines",
  "src/history/event-text.ts": "labels, which are texts, and a payload that is only checked",
  "src/history/stored-event.ts": "labels, which are texts, and the history's own fields",
  "src/store/api-key-store.ts": "API keys hold small numbers only",
  "src/version.ts": "package.json",
};

const typeDeclaration = /^(?:export )?(?:declare )?(?:abstract )?(?:interface|type|class|enum) (\w+)/gm;

const client =
  "the client has its own copy of the same thing, because it imports nothing but types of itself";

/** Names that several files declare, and why. */
const sharedNames: Readonly<Record<string, string>> = {
  CountOptions: client,
  NewEvent: client,
  Options: "the options of one command, used in no other file",
  Subscription: client,
};

function inCore(): readonly Source[] {
  return sources.filter(({ path }) => path.startsWith("src/core/"));
}

function sourcesIn(folder: string): Source[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") || name.endsWith(".tsx"))
    .map((name) => {
      const text = readFileSync(join(root, folder, name), "utf8");
      const code = withoutCommentsAndStrings(text);
      return { path: `${folder}/${name}`, text, code, imports: importsOf(text) };
    });
}

/** The part of src/ that contains a path. */
function partOf(path: string): string | null {
  return /^src\/(core\/[^/]+|[^/]+)\//.exec(path)?.[1] ?? null;
}

function importsOf(text: string): string[] {
  const statements =
    /^\s*(?:import|export)\b(?:[^"'`;]*?\bfrom)?\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm;
  return [...text.matchAll(statements)].map((match) => match[1] ?? match[2] ?? "");
}

/** The imports that remain when types are stripped. */
function valueImportsOf(text: string): string[] {
  return importsOf(text.replaceAll(/^\s*(?:import|export) type\b[^;]*;/gm, ""));
}

/** The same lines with comments and strings blanked, except for what is inside `${…}`. */
function withoutCommentsAndStrings(text: string): string {
  const token =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`|(?<=[(,=:[!&|?{};\n]\s*)\/(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/g;
  return text.replaceAll(token, (found) => {
    const kept = found.startsWith("`") ? [...found.matchAll(/\$\{[^}]*\}/g)].join(" ") : "";
    return `${kept} ${"\n".repeat(found.split("\n").length - kept.split("\n").length)}`;
  });
}
