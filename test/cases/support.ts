/** Runs cases for a small greenhouse as the command does, in a temporary directory. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { RunOptions } from "../../src/cases/run-case.ts";
import { type TestOptions, testRules } from "../../src/cli/test.ts";

export interface RunResult {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

/** A pump that is expected to report every minute, and a vent that says when it is stuck. */
const greenhouse = `
name: pump-quiet
trigger:
  posture: Proactive
  expect: [pump.pulse]
  for_each: [prefect.resource.id]
  within: 1m
  refire: once
actions:
  - type: call-webhook
    url: https://example.com/\${env.ROOM:-north}
    headers: { X-Room: "\${env.ROOM:-north}" }
    payload: { text: '{{ labels["prefect.resource.id"] }} is quiet', since: "{{ event.occurred }}" }
---
name: vent-stuck
trigger:
  expect: [vent.stuck]
actions:
  - { type: do-nothing }
  - type: call-webhook
    url: https://example.com/vents
    method: PUT
    payload: "{{ event.payload.angle }} degrees"
    secret: a secret
`;

/** Runs `cases` as `greenhouse.test.yaml`, next to the greenhouse's rules and to other `files`. */
export function run(
  cases: string,
  options: TestOptions &
    RunOptions & { files?: Record<string, string>; paths?: string[]; color?: boolean } = {},
): RunResult {
  const { files = {}, paths = ["."], color = false, createSimulation, ...testOptions } = options;
  const cwd = mkdtempSync(join(tmpdir(), "tripline-cases-"));
  const written = { "greenhouse.yaml": greenhouse, "greenhouse.test.yaml": cases, ...files };
  try {
    for (const [file, text] of Object.entries(written)) {
      mkdirSync(dirname(join(cwd, file)), { recursive: true });
      writeFileSync(join(cwd, file), text);
    }
    let out = "";
    let err = "";
    const stdout = { write: (text: string) => (out += text) };
    const stderr = { write: (text: string) => (err += text) };
    const io = {
      stdout,
      stderr,
      cwd,
      color,
      ...(createSimulation === undefined ? {} : { createSimulation }),
    };
    const exitCode = testRules(paths, io, testOptions);
    return { exitCode, out, err };
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

/** Runs a single case: `body` is what follows its name, indented by four. */
export function runCaseText(body: string, options: Parameters<typeof run>[1] = {}): RunResult {
  return run(`cases:\n  - name: the case\n${body.replace(/^\n+/, "")}`, options);
}

/** The output with 0 ms in place of every duration. */
export function withoutTimes(text: string): string {
  return text.replaceAll(/\d+ ms\b/g, "0 ms");
}
