/** docs/actions.md, "Verify the signature": the code in each language accepts real deliveries, and no others. */

import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { webhooksOf } from "../../src/delivery/http/request.ts";
import { invocationOf, startActions, startReceiver, webhook } from "../delivery/support.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { fencesOf, textOf } from "./fences.ts";
import { rowsUnder } from "./tables.ts";

const page = "docs/actions.md";
const code = new Map(
  fencesOf(page)
    .filter(({ heading }) => heading === "Verify the signature")
    .map(({ language, text }) => [language, text]),
);

let redis: TestRedis;
const folder = mkdtempSync(join(tmpdir(), "tripline-verify-"));
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await redis.stop();
  rmSync(folder, { recursive: true });
});

interface Delivered {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What a real worker sends. */
async function deliver(fields: Record<string, unknown>): Promise<Delivered> {
  const receiver = await startReceiver();
  const { queue, work } = startActions(redis.url);
  work();
  await queue.addInvocations([invocationOf(webhook(receiver.url, fields))]);
  await receiver.arrived(1);
  const { headers, body } = receiver.received[0]!;
  return { headers: headers as Record<string, string>, body };
}

/** A program that reads a list of `{secret, headers, body}` from standard input and prints a list of true or false. */
interface Verifier {
  readonly name: string;
  readonly language: string;
  readonly toolchain: readonly [program: string, ...words: string[]];
  command(source: string): readonly [program: string, ...words: string[]];
}

const verifiers: readonly Verifier[] = [
  {
    name: "Python",
    language: "python",
    toolchain: ["python3", "--version"],
    command(source) {
      const call = `
import json, sys
print(json.dumps([verify(asked["secret"], asked["headers"], asked["body"].encode()) for asked in json.load(sys.stdin)]))
`;
      writeFileSync(join(folder, "verify.py"), source + call);
      return ["python3", join(folder, "verify.py")];
    },
  },
  {
    name: "Go",
    language: "go",
    toolchain: ["go", "version"],
    command(source) {
      const call = `package main

import (
	"encoding/json"
	"net/http"
	"os"
)

func main() {
	var questions []struct {
		Secret  string
		Headers map[string]string
		Body    string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		panic(err)
	}
	answers := []bool{}
	for _, asked := range questions {
		header := http.Header{}
		for name, value := range asked.Headers {
			header.Set(name, value)
		}
		answers = append(answers, Verify(asked.Secret, header, []byte(asked.Body)))
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}
`;
      const [main, verify, binary] = ["main.go", "verify.go", "verify"].map((file) => join(folder, file));
      writeFileSync(main!, call);
      writeFileSync(verify!, source.replace("package webhook", "package main"));
      const built = spawnSync("go", ["build", "-o", binary!, verify!, main!], { cwd: folder });
      if (built.status !== 0) throw new Error(String(built.stderr));
      return [binary!];
    },
  },
  {
    name: "TypeScript",
    language: "ts",
    toolchain: [process.execPath, "--version"],
    command(source) {
      const call = `
import { json } from "node:stream/consumers";
const questions = (await json(process.stdin)) as { secret: string; headers: Record<string, string>; body: string }[];
console.log(JSON.stringify(questions.map(({ secret, headers, body }) => verify(secret, new Headers(headers), body))));
`;
      writeFileSync(join(folder, "verify.mts"), source + call);
      return [process.execPath, join(folder, "verify.mts")];
    },
  },
  {
    name: "Shell",
    language: "sh",
    toolchain: ["openssl", "version"],
    command(source) {
      writeFileSync(join(folder, "verify.sh"), source);
      // The Node that runs the tests reads the questions, and runs the script for each of them.
      const call = `
const { spawnSync } = require("node:child_process");
const answers = JSON.parse(require("node:fs").readFileSync(0, "utf8")).map(({ secret, headers, body }) => {
  const words = ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => headers[name] ?? "");
  const env = { ...process.env, SECRET: secret };
  const ran = spawnSync("sh", [process.argv[2], ...words], { input: body, env });
  if (ran.stderr.length > 0) throw new Error(String(ran.stderr));
  return ran.status === 0;
});
console.log(JSON.stringify(answers));
`;
      writeFileSync(join(folder, "call.cjs"), call);
      return [process.execPath, join(folder, "call.cjs"), join(folder, "verify.sh")];
    },
  },
];

const secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a phrase that both sides know"];
const otherSecrets = ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "a phrase that both sides know.", ""];

const delivered = new Map<string, Delivered>();

/** The same delivery for all languages. It is made within a test, because its servers stop when a test ends. */
async function realDelivery(secret: string): Promise<Delivered> {
  const known = delivered.get(secret);
  if (known !== undefined) return known;
  const real = await deliver({ secret, payload: { text: "the pump … stopped" } });
  delivered.set(secret, real);
  return real;
}

describe.each(verifiers)("the $name code", ({ name, language, toolchain, command }) => {
  const [program, ...words] = toolchain;
  const isInstalled = spawnSync(program, words).status === 0;
  const why = `${name} is not installed: ${program} does not start`;

  test.skipIf(!isInstalled)(
    isInstalled ? "accepts real deliveries, and no others" : `skipped: ${why}`,
    async () => {
      const questions = [];
      for (const secret of secrets) {
        const real = await realDelivery(secret);
        questions.push(
          ...genuine(secret, real).map((delivery) => ({ secret, ...delivery, genuine: true })),
          ...forged(secret, real).map((delivery) => ({ secret, ...delivery, genuine: false })),
          ...otherSecrets.map((other) => ({ secret: other, ...real, genuine: false })),
        );
      }
      const answers = await ask(command(code.get(language) ?? ""), questions);
      const wrong = questions.filter(({ genuine }, index) => answers[index] !== genuine);
      expect(answers).toHaveLength(questions.length);
      expect(wrong).toEqual([]);
    },
  );
});

function genuine(secret: string, real: Delivered): Delivered[] {
  const several = `v1,bm9uZQ== ${real.headers["webhook-signature"]}`; // as while a secret is being replaced
  return [real, withHeaders(real, { "webhook-signature": several }), signedAgo(secret, 10_000)];
}

function forged(secret: string, real: Delivered): Delivered[] {
  const signature = real.headers["webhook-signature"] ?? "";
  return [
    { ...real, body: `${real.body} ` },
    withHeaders(real, { "webhook-id": "another" }),
    withHeaders(real, { "webhook-signature": "" }),
    withHeaders(real, { "webhook-signature": signature.slice(0, -2) }),
    ...["", "never", "1e9", "a[$(touch x)]"].map((time) => withHeaders(real, { "webhook-timestamp": time })),
    signedAgo(secret, 600_000), // recorded, and sent again
    signedAgo(secret, -600_000),
  ];
}

/** Signed correctly, but at another time. */
function signedAgo(secret: string, ms: number): Delivered {
  const sent = new Date(Date.now() - ms);
  const body = "{}";
  const headers = {
    "webhook-id": "1",
    "webhook-timestamp": String(Math.floor(sent.getTime() / 1_000)),
    "webhook-signature": webhooksOf(secret)
      .map((webhook) => webhook.sign("1", sent, body))
      .join(" "),
  };
  return { headers, body };
}

function withHeaders(real: Delivered, headers: Record<string, string>): Delivered {
  return { ...real, headers: { ...real.headers, ...headers } };
}

async function ask([program = "", ...words]: readonly string[], questions: unknown): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, words, (error, stdout, stderr) => {
      if (error !== null || stderr !== "") reject(error ?? new Error(stderr));
      else resolve(JSON.parse(stdout));
    });
    child.stdin?.end(JSON.stringify(questions));
  });
}

test("the table of headers lists what a delivery has", async () => {
  const { headers } = await realDelivery(secrets[0]!);
  const usual = ["host", "connection", "content-length", "transfer-encoding"];
  const sent = Object.keys(headers).filter((name) => !usual.includes(name));
  const listed = rowsUnder(textOf(page), "The headers").map(([name = ""]) => name);
  expect(listed).toEqual(expect.arrayContaining(sent));
  expect([...sent, "traceparent"]).toEqual(expect.arrayContaining(listed)); // sent only while traces are on
});
