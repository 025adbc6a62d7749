/**
 * schemathesis, a fuzzer of other people's make, reads the OpenAPI document and sends what it says may be sent, and what
 * it says may not. No request may make the server fail, or answer in a form that the document does not name.
 */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { installed, titled, versionOf } from "../prefect/client-support.ts";
import { ContractServer } from "../prefect/contract-support.ts";

const program = installed("schemathesis");
const seed = process.env["TRIPLINE_TEST_SEED"] ?? "1";
/** With `coverage`, which is slow, it also tries every edge of every schema. */
const phases = process.env["TRIPLINE_FUZZ_PHASES"] ?? "examples,fuzzing";
const examples = process.env["TRIPLINE_FUZZ_EXAMPLES"] ?? "50";

describe.skipIf(program === null)(titled(`schemathesis ${versionOf("schemathesis")}`, "schemathesis"), () => {
  let server: ContractServer;

  beforeAll(async () => {
    server = await ContractServer.start();
  });

  afterAll(() => server.stop());

  test("finds nothing that the server fails at", { timeout: 600_000 }, async () => {
    const origin = new URL(server.api).origin;
    const words = [
      ...["run", `${server.api}/openapi.json`, "--origin", origin],
      ...["--checks", "not_a_server_error,content_type_conformance", "--phases", phases],
      ...[
        "--max-examples",
        examples,
        "--seed",
        seed,
        "--continue-on-failure",
        "--no-shrink",
        "--warnings",
        "off",
      ],
    ];
    // What it remembers of a run goes into the folder that it is started in.
    const shell = `cd "$1" && shift && exec "$@"`;
    const run = server.sandbox.run("sh", ["-c", shell, "sh", server.sandbox.folder, program ?? "", ...words]);
    const { code } = await run.ended;
    expect({ code, printed: code === 0 ? "" : run.stdout + run.stderr }).toEqual({ code: 0, printed: "" });
    expect(run.stdout).toMatch(/Tested: [1-9]\d/);
    const failures = server.server.process.stdout
      .split("\n")
      .filter((line) => line.includes('"A request failed"'));
    expect(failures).toEqual([]);
    expect(await server.get("/health")).toMatchObject({ status: 200 });
  });
});
