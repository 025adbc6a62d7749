/**
 * schemathesis, an independent fuzzer, reads the OpenAPI document and sends both valid and invalid requests. None may make
 * the server fail, or answer with a content type that the document does not name.
 */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { installed, titled, versionOf } from "../prefect/client-support.ts";
import { ContractServer } from "../prefect/contract-support.ts";

const program = installed("schemathesis");
const seed = process.env["TRIPLINE_TEST_SEED"] ?? "1";
/** Add `coverage`, which is slow, to try every edge of every schema. */
const phases = process.env["TRIPLINE_FUZZ_PHASES"] ?? "examples,fuzzing";
const examples = process.env["TRIPLINE_FUZZ_EXAMPLES"] ?? "50";

describe.skipIf(program === null)(titled(`schemathesis ${versionOf("schemathesis")}`, "schemathesis"), () => {
  let server: ContractServer;

  beforeAll(async () => {
    server = await ContractServer.start();
  });

  afterAll(() => server.stop());

  test("finds no request that makes the server fail", { timeout: 600_000 }, async () => {
    const origin = new URL(server.api).origin;
    // Without one, a request that creates the first key would lock the rest out.
    const key = await server.makeKey();
    const options = [
      ...[
        "run",
        `${server.api}/openapi.json`,
        "--origin",
        origin,
        "--header",
        `Authorization: Bearer ${key}`,
      ],
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
    // schemathesis writes its state into the folder that it starts in.
    const script = `cd "$1" && shift && exec "$@"`;
    const run = server.sandbox.run("sh", [
      "-c",
      script,
      "sh",
      server.sandbox.folder,
      program ?? "",
      ...options,
    ]);
    const { code } = await run.ended;
    expect({ code, printed: code === 0 ? "" : run.stdout + run.stderr }).toEqual({ code: 0, printed: "" });
    expect(run.stdout).toMatch(/Tested: [1-9]\d/);
    expect(server.loggedErrors).toEqual([]);
    expect(await server.get("/health")).toMatchObject({ status: 200 });
  });
});
