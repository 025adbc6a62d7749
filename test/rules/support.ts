/** Rule files in a temporary directory, loaded as the server loads them. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { formatDiagnostic } from "../../src/rules/diagnostic.ts";
import { type LoadedRules, type LoadOptions, loadRules } from "../../src/rules/load.ts";

export class RuleDirectory {
  readonly path = mkdtempSync(join(tmpdir(), "tripline-rules-"));

  write(file: string, text: string | Buffer): void {
    mkdirSync(dirname(join(this.path, file)), { recursive: true });
    writeFileSync(join(this.path, file), text);
  }

  load(options: Partial<LoadOptions> = {}, paths: readonly string[] = ["."]): LoadedRules {
    return loadRules(paths, { ...loadOptions, cwd: this.path, ...options });
  }

  remove(): void {
    rmSync(this.path, { recursive: true });
  }
}

export const loadOptions = {
  workspace: "default",
  env: {},
  now: 1_000_000,
} satisfies LoadOptions;

/** The rules of one file, `greenhouse.yaml`, with this text. */
export function loadText(text: string | Buffer, options: Partial<LoadOptions> = {}): LoadedRules {
  const directory = new RuleDirectory();
  try {
    directory.write("greenhouse.yaml", text);
    return directory.load(options);
  } finally {
    directory.remove();
  }
}

/** What `check` prints for this text, without the file's name. */
export function mistakesIn(text: string | Buffer, env: LoadOptions["env"] = {}): string[] {
  return loadText(text, { env }).diagnostics.map((diagnostic) =>
    formatDiagnostic(diagnostic).replace("greenhouse.yaml:", ""),
  );
}
