/** An address that is not a Redis to work with: one sentence, with its remedy, and no stack trace. */

import { execFileSync } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RedisNodes, redisCli } from "../support/redis-nodes.ts";
import { startSentinels, type TestSentinels } from "../support/redis-sentinels.ts";
import { Sandbox } from "./support.ts";

const sandbox = new Sandbox();
const certificate = join(sandbox.folder, "cert.pem");
let nodes: RedisNodes;
let sentinels: TestSentinels;
let web: Server;
/** By the names that stand for them in the URLs below. */
const ports = new Map<string, number>();

beforeAll(async () => {
  nodes = new RedisNodes();
  sentinels = await startSentinels({ sentinelPassword: "s3ntinel" });
  const master = await sentinels.master();
  ports.set("REPLICA", sentinels.servers.find((server) => server !== master)!.port);
  ports.set("SENTINEL", sentinels.sentinels[0]!.port);
  ports.set("PLAIN", (await nodes.start(() => [])).port);
  ports.set("TAKEN", (await nodes.start(() => [])).port);
  ports.set("EMPTY_CLUSTER", (await nodes.start(() => ["--cluster-enabled", "yes"])).port);
  const key = join(sandbox.folder, "key.pem");
  execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2"],
      ...["-subj", "/CN=redis.example.org", "-addext", "subjectAltName=DNS:redis.example.org"],
    ],
    { stdio: "pipe" },
  );
  const files = ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no"];
  ports.set("TLS", (await nodes.start((port) => ["--port", "0", "--tls-port", String(port), ...files])).port);
  web = createServer((_, response) => response.end("a web page"));
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  ports.set("WEB", (web.address() as AddressInfo).port);
}, 120_000);

afterAll(async () => {
  web.close();
  await sandbox.close();
  await Promise.all([nodes.stop(), sentinels.stop()]);
});

function filled(template: string): string {
  return template.replaceAll(/@([A-Z_]+)/g, (_, name: string) => `127.0.0.1:${ports.get(name)}`);
}

describe("a command says of", () => {
  test.each([
    ["a web server", "redis://@WEB", "", "port of Redis"],
    ["a port without TLS", "rediss://@PLAIN", "ETIMEDOUT", "does not speak TLS, use redis://@PLAIN"],
    ["a port with TLS", "redis://@TLS", "", "expects TLS, use rediss://@TLS"],
    ["a certificate of its own", "rediss://@TLS", "self-signed", "NODE_EXTRA_CA_CERTS="],
    ["a server as a cluster", "redis+cluster://@PLAIN", "cluster support disabled", "Use redis://@PLAIN"],
    [
      "a server as a Sentinel",
      "redis+sentinel://@PLAIN/greenhouse",
      "unknown command",
      "Those are no Sentinels",
    ],
    ["a Sentinel as a server", "redis://:s3ntinel@@SENTINEL", "", "redis+sentinel://@SENTINEL/greenhouse"],
    ["a cluster that serves nothing", "redis://@EMPTY_CLUSTER", "CLUSTERDOWN", "redis-cli --cluster check"],
    [
      "a cluster without slots",
      "redis+cluster://@EMPTY_CLUSTER",
      "No node of the cluster",
      "redis-cli --cluster check",
    ],
    ["no cluster", "redis+cluster://127.0.0.1:9", "ECONNREFUSED", "Name another with --redis"],
    ["no Sentinel", "redis+sentinel://127.0.0.1:9/m", "No Sentinel answers", "Name another with --redis"],
    ["a node with another certificate", "rediss+cluster://@TLS", "self-signed", "NODE_EXTRA_CA_CERTS="],
    ["a replica", "redis://@REPLICA", "READONLY", "That is a replica. Name the primary"],
    [
      "a master that no Sentinel knows",
      "redis+sentinel://@SENTINEL/shed?sentinel_password=s3ntinel",
      "The Sentinels know no master named shed",
      "sentinel masters",
    ],
    ["a Sentinel's password", "redis+sentinel://@SENTINEL/greenhouse", "NOAUTH", "?sentinel_password="],
    [
      "a Sentinel's wrong password",
      "redis+sentinel://@SENTINEL/greenhouse?sentinel_password=wr0ng",
      "WRONGPASS",
      "?sentinel_password=",
    ],
  ])("%s what it is, and what to do", async (_, template, reason, remedy) => {
    const { code, stderr } = await sandbox.output(["keys", "ls", "--redis", filled(template)]);
    expect(stderr).toContain(reason);
    expect(stderr).toContain(filled(remedy));
    expect(stderr).not.toMatch(/^ +at |Node\.js v|s3ntinel|wr0ng/m);
    expect(code).toBe(1);
  });

  test.each([
    ["tl:api-keys", "keys ls"],
    ["tl:api-keys", "serve --port 0"],
    ["tl:{default}:log", "serve --port 0"],
  ])("another program's key %s to %s", async (key, command) => {
    await redisCli(ports.get("TAKEN")!, "set", key, "tomatoes");
    const url = filled("redis://@TAKEN");
    const { code, stderr } = await sandbox.output([...command.split(" "), "--redis", url]);
    await redisCli(ports.get("TAKEN")!, "del", key);
    expect(stderr).toContain(`The key ${key} is not Tripline's: WRONGTYPE`);
    expect(stderr).toContain("Give Tripline a database of its own");
    expect(stderr).not.toMatch(/^ +at |Node\.js v/m);
    expect(code).toBe(1);
  });
});

test("a certificate is checked for the name in the URL", async () => {
  const environment = { NODE_EXTRA_CA_CERTS: certificate };
  const list = (query: string) =>
    sandbox.output(["keys", "ls", "--redis", filled(`rediss://@TLS${query}`)], environment);
  const refused = await list("");
  expect(refused.stderr).toContain("does not match certificate");
  expect(refused.stderr).toContain("?servername=redis.example.org");
  expect(await list("?servername=redis.example.org")).toMatchObject({ code: 0 });
});

test("an invalid URL is not shown, because a password may be in it", async () => {
  for (const [words, environment] of [
    [["--redis", "redis://:s3cret@pump:x"], {}],
    [[], { TRIPLINE_REDIS: "redis://:s3cret@pump:x" }],
    [[], { REDIS_URL: "redis://:s3cret@pump:x" }],
  ] as const) {
    const { code, stderr } = await sandbox.output(["keys", "ls", ...words], environment);
    expect(stderr).toMatch(/ is invalid\. The port of pump should be a number from 1 to 65535\.\n$/);
    expect(stderr).not.toContain("s3cret");
    expect(code).toBeGreaterThan(0);
  }
});

test("one Sentinel that is down does not matter", async () => {
  const url = sentinels.url.replace("://", "://127.0.0.1:9,");
  expect(await sandbox.output(["keys", "ls", "--redis", url])).toMatchObject({ code: 0 });
});
