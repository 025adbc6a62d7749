/** docs/cli.md and docs/api.md are complete. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Tripline } from "../../src/client/index.ts";
import { root, Sandbox } from "./support.ts";

const sandbox = new Sandbox();
afterAll(() => sandbox.close());

const documentOf = (name: string): string => readFileSync(join(root, "docs", name), "utf8");

test("every command and subcommand is in docs/cli.md", async () => {
  const document = documentOf("cli.md");
  const commandsIn = async (...words: string[]): Promise<string[]> => {
    const { stdout } = await sandbox.output([...words, "--help"]);
    const lines = stdout.split(/^First steps/m)[0] ?? "";
    return [...lines.matchAll(/^ {2}([a-z-]+)(?:\|[a-z]+)?(?: \S+)* {2,}\S/gm)].map(([, name = ""]) => name);
  };
  const commands = await commandsIn();
  expect(commands.length).toBeGreaterThan(10);
  for (const command of commands) expect(document).toContain(`\`${command}`);
  for (const group of ["automations", "events", "deliveries", "endpoints", "secrets"]) {
    const [first, ...others] = await commandsIn(group);
    for (const words of [`${group} ${first}`, ...others]) expect(document).toContain(`\`${words}\``);
  }
});

test("every method of the client is in docs/api.md", () => {
  const document = documentOf("api.md");
  for (const [part, methods] of Object.entries(new Tripline())) {
    const names = Object.getOwnPropertyNames(Object.getPrototypeOf(methods)).filter(
      (name) => name !== "constructor",
    );
    const row = document.split("\n").find((line) => line.startsWith(`| \`${part}\``)) ?? "";
    for (const name of names) expect(row).toContain(`\`${name}\``);
  }
});
