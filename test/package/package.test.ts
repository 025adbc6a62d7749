/**
 * The package as npm publishes it, installed into another project: it works there, and changes nothing else.
 *
 * `npm test` does this on the Node that runs the tests. `npm run package:check` does it on every supported Node, which
 * needs downloads and takes minutes.
 */

import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { logLines, root, Sandbox } from "../cli/support.ts";
import { nodeBinary } from "../support/node-binary.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

/** The package with its dependencies must not grow beyond this unnoticed. It had 53 MB when this was written. */
const installedMegabytesMax = 60;

const run = promisify(execFile);
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly name: string;
  readonly version: string;
  readonly engines: { readonly node: string };
};
const versions = (process.env["TRIPLINE_PACKAGE_NODES"] ?? "").split(",").filter((version) => version !== "");

const folder = mkdtempSync(join(tmpdir(), "tripline-package-"));
const sandbox = new Sandbox();
let tarball = "";
let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis();
  // Compiled here and not by npm's `prepack`, so that a failure shows the compiler's messages.
  await run("npm", ["run", "build"], { cwd: root });
  await run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], { cwd: root });
  tarball = join(folder, readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "");
}, 180_000);

afterAll(async () => {
  await sandbox.close();
  await redis?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("the package contains compiled files and no sources, tests or tools", async () => {
  const { stdout } = await run("tar", ["-tzf", tarball]);
  const files = stdout.trim().split("\n");
  const unexpected = files.filter(
    (name) =>
      !/^package\/(dist\/(?!dashboard).*\.(js|d\.ts)|dist\/dashboard\/(index\.html|licenses\.md|assets\/[\w.-]+)|package\.json|README\.md|LICENSE|CHANGELOG\.md|rules\/tripline\.(test\.)?schema\.json)$/.test(
        name,
      ),
  );
  expect(unexpected).toEqual([]);
  expect(files).toContain("package/dist/cli/bin.js");
  expect(files).toContain("package/dist/dashboard/index.html");
});

describe.each(versions.length > 0 ? versions : [process.versions.node])(
  "the package installed with Node %s",
  (version) => {
    const project = join(folder, `project-${version}`);
    const command = join(project, "node_modules", ".bin", "tripline");
    /** An environment in which `node` is the version under test. */
    let env: Record<string, string>;
    let node = "";

    beforeAll(async () => {
      node = version === process.versions.node ? process.execPath : await nodeBinary(version);
      env = {
        ...(process.env as Record<string, string>),
        PATH: [dirname(node), process.env["PATH"]].join(delimiter),
      };
      mkdirSync(project);
      const scripts = { "which-node": "node --version" };
      writeFileSync(
        join(project, "package.json"),
        JSON.stringify({ name: "someone", private: true, scripts }),
      );
      await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", tarball], {
        cwd: project,
        env,
      });
    }, 300_000);

    test("is small, and does not replace the project's Node", async () => {
      const { stdout: own } = await run(node, ["--version"]);
      const { stdout } = await run("npm", ["run", "--silent", "which-node"], { cwd: project, env });
      expect(stdout).toBe(own);
      expect(existsSync(join(project, "node_modules", "node"))).toBe(false);
      expect(megabytesOf(join(project, "node_modules"))).toBeLessThan(installedMegabytesMax);
    });

    test("prints its version, and checks rules", async () => {
      const { stdout } = await run(command, ["--version"], { env });
      expect(stdout).toBe(`${manifest.version}\n`);
      const checked = await run(command, ["check", join(root, "rules")], { env, cwd: project });
      expect(checked.stdout).toContain("automations");
    });

    // Compiled files are in other folders than the sources, so the files that they read must be in the package too.
    test("serves, keeps history in SQLite, and its client emits and finds events", async () => {
      await redis.restart();
      const history = `sqlite:${join(project, "history.sqlite")}`;
      const server = sandbox.run(command, ["serve", "--port", "0", "--redis", redis.url], {
        PATH: env["PATH"] ?? "",
        TRIPLINE_HISTORY_URL: history,
      });
      const url = await server.until(
        () =>
          logLines(server).find(({ msg }) => msg === "Tripline is running")?.["url"] as string | undefined,
      );
      const program = join(project, "program.mjs");
      writeFileSync(
        program,
        `import { Tripline } from "${manifest.name}/client";
      const tripline = new Tripline({ url: process.argv[2] });
      const [{ id }] = await tripline.events.emit({ event: "pump.stopped", resource: { "prefect.resource.id": "pump.1" } });
      for (;;) {
        const { events } = await tripline.events.page();
        if (events.some((event) => event.id === id)) break;
      }
      console.log("found");`,
      );
      const { stdout } = await run(node, [program, `${url}/api`], { cwd: project });
      expect(stdout).toBe("found\n");
      expect((await server.end()).code).toBe(0);
      // An experimental warning of Node in the middle of the log would break programs that read the log as JSON.
      expect(server.stderr.split("\n").filter((line) => line !== "" && !line.startsWith("{"))).toEqual([]);
      const recorded = await run(node, [
        "-e",
        `const { DatabaseSync } = require("node:sqlite");
      console.log(new DatabaseSync(process.argv[1]).prepare("select name from names").all().map((row) => row.name).join());`,
        join(project, "history.sqlite"),
      ]);
      expect(recorded.stdout).toContain("pump.stopped");
    });

    // The strictest options, and no types of Node or of other packages, as in a browser project.
    test.each([
      { moduleKind: "node16", moduleResolution: "node16" },
      { moduleKind: "nodenext", moduleResolution: "nodenext" },
      { moduleKind: "preserve", moduleResolution: "bundler" },
    ])(
      "has types for the client that work with $moduleResolution resolution and need no others",
      async ({ moduleKind, moduleResolution }) => {
        const program = join(project, "typed.mts");
        writeFileSync(
          program,
          `import { type ReceivedEvent, Tripline } from "${manifest.name}/client";
      const tripline = new Tripline();
      export async function names(): Promise<string[]> {
        const names: string[] = [];
        for await (const event of tripline.events.filter({ event: { prefix: ["pump."] } })) names.push((event satisfies ReceivedEvent).event);
        const { actions } = await tripline.automations.create({ name: "n", trigger: { expect: ["a"], within: "90s" }, actions: [] });
        for (const action of actions) if (action.type === "call-webhook") names.push(action.url ?? "");
        // @ts-expect-error: a trigger has no such posture
        await tripline.automations.create({ name: "n", trigger: { posture: "Patient" }, actions: [] });
        return names;
      }`,
        );
        const resolution = ["--module", moduleKind, "--moduleResolution", moduleResolution];
        const options = [
          "--strict",
          "--exactOptionalPropertyTypes",
          ...["--skipLibCheck", "false"],
          "--noEmit",
          "--target",
          "es2023",
          "--lib",
          "es2023,dom",
          "--types",
          "",
          ...resolution,
        ];
        const tsc = join(root, "node_modules", ".bin", "tsc");
        const { stdout } = await run(tsc, [...options, program], { cwd: project }).catch(
          (error: { stdout: string }) => error,
        );
        expect(stdout).toBe("");
        const { stdout: listed } = await run(tsc, [...options, "--listFilesOnly", program], { cwd: project });
        const own = join(project, "node_modules", manifest.name);
        const others = listed.split("\n").filter((path) => path.includes(project) && !path.startsWith(own));
        expect(others).toEqual([program]);
      },
    );

    test.each(["20.19.0", "22.15.1", "23.11.0"])("refuses Node %s with one sentence", async (unsupported) => {
      const pretend = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${unsupported}" } })`;
      const failed = await run(node, ["--import", `data:text/javascript,${pretend}`, command]).catch(
        (error: { code: number; stderr: string }) => error,
      );
      expect(failed).toMatchObject({
        code: 1,
        stderr: `tripline needs Node 22.16 or newer, except 23. This is Node ${unsupported}.\n`,
      });
      expect(manifest.engines.node).toBe("^22.16.0 || >=24.0.0");
    });
  },
);

function megabytesOf(directory: string): number {
  const bytes = readdirSync(directory, { recursive: true, encoding: "utf8" }).reduce((sum, name) => {
    const found = statSync(join(directory, name), { throwIfNoEntry: false });
    return sum + (found?.isFile() === true ? found.size : 0);
  }, 0);
  return bytes / 1_000_000;
}
