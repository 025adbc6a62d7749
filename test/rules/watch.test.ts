import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatDiagnostic } from "../../src/rules/diagnostic.ts";
import { type RuleWatcher, watchRules } from "../../src/rules/watch.ts";
import { loadOptions, RuleDirectory } from "./support.ts";

let directory: RuleDirectory;
let watcher: RuleWatcher | undefined;
let reports: string[];
let failNext: boolean;

beforeEach(() => {
  directory = new RuleDirectory();
  reports = [];
  failNext = false;
});

afterEach(async () => {
  await watcher?.close();
  directory.remove();
});

function report(text: string): void {
  reports.push(text);
}

async function start(options: { lookMs?: number; quietMs?: number; paths?: string[] } = {}): Promise<void> {
  watcher = await watchRules(options.paths ?? ["."], {
    ...loadOptions,
    now: () => 1,
    cwd: directory.path,
    quietMs: options.quietMs ?? 20,
    lookMs: options.lookMs ?? 3_600_000, // so that only the file system reports changes
    apply: async ({ automations }) => {
      if (failNext) {
        failNext = false;
        throw new Error("the log cannot be reached");
      }
      report(`applied ${automations.map(({ name }) => name).join(" ")}`);
    },
    reject: ({ diagnostics }) => report(`rejected ${diagnostics.map(formatDiagnostic).join(" ")}`),
    failed: ({ error }) => report(`failed: ${(error as Error).message}`),
  });
}

async function expectAfter(change: () => unknown, text: string): Promise<void> {
  const before = reports.length;
  await change();
  await expect.poll(() => reports.slice(before)).toContain(text);
}

const rule = (name: string): string => `name: ${name}\ntrigger: {}\n`;

describe("watching rules", () => {
  test("applies the rules at the start, then each valid change, even in new directories", async () => {
    directory.write("a.yaml", rule("a"));
    await expectAfter(() => start(), "applied a");
    await expectAfter(() => directory.write("a.yaml", rule("b")), "applied b");
    await expectAfter(() => directory.write("deep/c.yaml", rule("c")), "applied b c");
    await expectAfter(() => directory.write("deep/c.yaml", rule("d")), "applied b d");
    await expectAfter(() => rmSync(join(directory.path, "a.yaml")), "applied d");
  });

  test("reports an invalid change once, and applies rules again when it is corrected", async () => {
    directory.write("a.yaml", rule("a"));
    await expectAfter(() => start({ lookMs: 30 }), "applied a");
    const bad = "rejected a.yaml:2:1: unknown key `triger`; did you mean `trigger`?";
    await expectAfter(() => directory.write("a.yaml", rule("b").replace("trigger", "triger")), bad);
    await expectAfter(() => directory.write("a.yaml", rule("c")), "applied c");
    expect(reports).toEqual(["applied a", bad, "applied c"]);
  });

  test("follows a file when an editor saves it by renaming", async () => {
    directory.write("a.yaml", rule("a"));
    await expectAfter(() => start({ paths: ["a.yaml"] }), "applied a");
    for (const name of ["b", "c"]) {
      const save = (): void => {
        const file = join(directory.path, "a.yaml");
        writeFileSync(`${file}.new`, rule(name));
        renameSync(file, `${file}~`);
        renameSync(`${file}.new`, file);
      };
      await expectAfter(save, `applied ${name}`);
      await expectAfter(() => directory.write("a.yaml", rule(`${name}2`)), `applied ${name}2`);
    }
  });

  // A look at regular intervals must not take half of a file for all of it: the rules that it lacks would lose their windows.
  test("waits for the end of what is written in steps", async () => {
    directory.write("a.yaml", `${rule("a")}---\n${rule("b")}`);
    await expectAfter(() => start({ lookMs: 3, quietMs: 400 }), "applied a b");
    const writeInSteps = async () => {
      rmSync(join(directory.path, "a.yaml"));
      for (const [name, text] of [
        ["c.yaml", rule("c")],
        ["a.yaml", rule("a")],
        ["a.yaml", `${rule("a")}---\n${rule("b")}`],
      ] as const) {
        await new Promise((resolve) => setTimeout(resolve, 8));
        directory.write(name, text);
      }
    };
    await expectAfter(writeInSteps, "applied a b c");
    expect(reports).toEqual(["applied a b", "applied a b c"]);
  });

  // Kubernetes replaces the files of a ConfigMap like this: the link ..data switches to a new version of all of them.
  test("follows a link that gets a new target", async () => {
    for (const version of ["1", "2"]) {
      mkdirSync(join(directory.path, `..${version}`));
      writeFileSync(join(directory.path, `..${version}`, "a.yaml"), rule(`version-${version}`));
    }
    symlinkSync("..1", join(directory.path, "..data"));
    symlinkSync("..data/a.yaml", join(directory.path, "a.yaml"));
    await expectAfter(() => start(), "applied version-1");
    const swap = (): void => {
      symlinkSync("..2", join(directory.path, "..new"));
      renameSync(join(directory.path, "..new"), join(directory.path, "..data"));
    };
    await expectAfter(swap, "applied version-2");
  });

  test("tries again when applying fails, and polls in case the file system reports no changes", async () => {
    directory.write("a.yaml", rule("a"));
    await expectAfter(() => start({ lookMs: 20 }), "applied a");
    failNext = true;
    await expectAfter(() => directory.write("a.yaml", rule("b")), "applied b");
    expect(reports).toEqual(["applied a", "failed: the log cannot be reached", "applied b"]);
  });

  test("applies the files once at the start, and fails if that fails", async () => {
    directory.write("a.yaml", rule("a"));
    failNext = true;
    await expect(start({ lookMs: 5 })).rejects.toThrow("the log cannot be reached");
    await start();
    expect(reports).toEqual(["applied a"]);
  });

  // Node's own recursive watching would crash the process here.
  test("continues when its path cannot be read", async () => {
    directory.write("rules/a.yaml", rule("a"));
    const path = join(directory.path, "rules");
    await expectAfter(() => start({ paths: ["rules"], lookMs: 20 }), "applied a");
    const bad = "rejected rules: cannot be read (ELOOP); check its permissions, or name another path";
    const loop = (): void => {
      rmSync(path, { recursive: true });
      symlinkSync(path, path);
    };
    await expectAfter(loop, bad);
    const repair = (): void => {
      rmSync(path);
      directory.write("rules/b.yaml", rule("b"));
    };
    await expectAfter(repair, "applied b");
  });

  // Thousands of rules take seconds to read. A server that did nothing else meanwhile would lose its connections.
  test("lets everything else run while it reads many rules", async () => {
    for (let file = 0; file < 40; file++) {
      const rules = Array.from(
        { length: 50 },
        (_, index) => `- {name: rule ${file}.${index}, trigger: {}}\n`,
      );
      directory.write(`${file}.yaml`, rules.join(""));
    }
    let turnCount = 0;
    const counting = setInterval(() => {
      turnCount += 1;
    }, 1);
    await start();
    clearInterval(counting);
    expect(reports[0]).toContain("rule 39.49");
    expect(turnCount).toBeGreaterThan(5);
  });

  test("reports nothing after it is closed", async () => {
    directory.write("a.yaml", rule("a"));
    await expectAfter(() => start({ lookMs: 5 }), "applied a");
    directory.write("a.yaml", rule("b"));
    await watcher?.close();
    const reportsBefore = [...reports];
    directory.write("a.yaml", rule("c"));
    await new Promise((resolve) => setTimeout(resolve, 60)); // nothing happens that could be awaited
    expect(reports).toEqual(reportsBefore);
  });
});
