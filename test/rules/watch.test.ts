import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatDiagnostic } from "../../src/rules/diagnostic.ts";
import { type RuleWatcher, watchRules } from "../../src/rules/watch.ts";
import { loadOptions, RuleDirectory } from "./support.ts";

let directory: RuleDirectory;
let watcher: RuleWatcher | undefined;
let told: string[];
let failNext: boolean;

beforeEach(() => {
  directory = new RuleDirectory();
  told = [];
  failNext = false;
});

afterEach(async () => {
  await watcher?.close();
  directory.remove();
});

function tell(what: string): void {
  told.push(what);
}

async function start(options: { lookMs?: number; paths?: string[] } = {}): Promise<void> {
  watcher = await watchRules(options.paths ?? ["."], {
    ...loadOptions,
    now: () => 1,
    cwd: directory.path,
    quietMs: 20,
    lookMs: options.lookMs ?? 3_600_000, // so that it is the file system that tells
    apply: async ({ automations }) => {
      if (failNext) {
        failNext = false;
        throw new Error("the log cannot be reached");
      }
      tell(`applied ${automations.map(({ name }) => name).join(" ")}`);
    },
    reject: ({ diagnostics }) => tell(`rejected ${diagnostics.map(formatDiagnostic).join(" ")}`),
    failed: ({ error }) => tell(`failed: ${(error as Error).message}`),
  });
}

async function expecting(change: () => unknown, what: string): Promise<void> {
  const before = told.length;
  await change();
  await expect.poll(() => told.slice(before)).toContain(what);
}

const rule = (name: string): string => `name: ${name}\ntrigger: {}\n`;

describe("watching rules", () => {
  test("applies what is there, then each good change, also in new directories", async () => {
    directory.write("a.yaml", rule("a"));
    await expecting(() => start(), "applied a");
    await expecting(() => directory.write("a.yaml", rule("b")), "applied b");
    await expecting(() => directory.write("deep/c.yaml", rule("c")), "applied b c");
    await expecting(() => directory.write("deep/c.yaml", rule("d")), "applied b d");
    await expecting(() => rmSync(join(directory.path, "a.yaml")), "applied d");
  });

  test("reports a bad change once, and applies again when it is mended", async () => {
    directory.write("a.yaml", rule("a"));
    await expecting(() => start({ lookMs: 30 }), "applied a");
    const bad = "rejected a.yaml:2:1: unknown key `triger`; did you mean `trigger`?";
    await expecting(() => directory.write("a.yaml", rule("b").replace("trigger", "triger")), bad);
    await expecting(() => directory.write("a.yaml", rule("c")), "applied c");
    expect(told).toEqual(["applied a", bad, "applied c"]);
  });

  test("follows a file through an editor that saves by renaming", async () => {
    directory.write("a.yaml", rule("a"));
    await expecting(() => start({ paths: ["a.yaml"] }), "applied a");
    for (const name of ["b", "c"]) {
      const save = (): void => {
        const file = join(directory.path, "a.yaml");
        writeFileSync(`${file}.new`, rule(name));
        renameSync(file, `${file}~`);
        renameSync(`${file}.new`, file);
      };
      await expecting(save, `applied ${name}`);
      await expecting(() => directory.write("a.yaml", rule(`${name}2`)), `applied ${name}2`);
    }
  });

  // So a directory of configuration is replaced as a whole: ..data points to another version from one moment to the next.
  test("follows a link that is pointed elsewhere", async () => {
    for (const version of ["1", "2"]) {
      mkdirSync(join(directory.path, `..${version}`));
      writeFileSync(join(directory.path, `..${version}`, "a.yaml"), rule(`version-${version}`));
    }
    symlinkSync("..1", join(directory.path, "..data"));
    symlinkSync("..data/a.yaml", join(directory.path, "a.yaml"));
    await expecting(() => start(), "applied version-1");
    const swap = (): void => {
      symlinkSync("..2", join(directory.path, "..new"));
      renameSync(join(directory.path, "..new"), join(directory.path, "..data"));
    };
    await expecting(swap, "applied version-2");
  });

  test("tries again when applying failed, and looks by itself where nobody tells of changes", async () => {
    directory.write("a.yaml", rule("a"));
    await expecting(() => start({ lookMs: 20 }), "applied a");
    failNext = true;
    await expecting(() => directory.write("a.yaml", rule("b")), "applied b");
    expect(told).toEqual(["applied a", "failed: the log cannot be reached", "applied b"]);
  });

  test("reads the files once at the start, and fails when they cannot be applied then", async () => {
    directory.write("a.yaml", rule("a"));
    failNext = true;
    await expect(start({ lookMs: 5 })).rejects.toThrow("the log cannot be reached");
    await start();
    expect(told).toEqual(["applied a"]);
  });

  // Node watching the tree by itself would end the process here.
  test("goes on when its path cannot even be looked at", async () => {
    directory.write("rules/a.yaml", rule("a"));
    const path = join(directory.path, "rules");
    await expecting(() => start({ paths: ["rules"], lookMs: 20 }), "applied a");
    const bad = "rejected rules: cannot be read (ELOOP); check its permissions, or name another path";
    const loop = (): void => {
      rmSync(path, { recursive: true });
      symlinkSync(path, path);
    };
    await expecting(loop, bad);
    const mend = (): void => {
      rmSync(path);
      directory.write("rules/b.yaml", rule("b"));
    };
    await expecting(mend, "applied b");
  });

  test("tells nothing any more once it is closed", async () => {
    directory.write("a.yaml", rule("a"));
    await expecting(() => start({ lookMs: 5 }), "applied a");
    directory.write("a.yaml", rule("b"));
    await watcher?.close();
    const toldBefore = [...told];
    directory.write("a.yaml", rule("c"));
    await new Promise((resolve) => setTimeout(resolve, 60)); // that nothing happens cannot be awaited
    expect(told).toEqual(toldBefore);
  });
});
