/**
 * `npm run openapi:check`: generates clients from the OpenAPI document with four generators, compiles each, and calls a
 * real server with those for Python and Go. (The TypeScript generator makes only types.)
 *
 * Needs Go and Python 3 with venv. The generators go into .tripline/openapi, and stay there for the next run.
 */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { document } from "../test/api/all-routes.ts";
import { ContractServer, pumpEvent } from "../test/prefect/contract-support.ts";
import { goCalls, pythonCalls } from "./openapi-calls.ts";

const root = resolve(import.meta.dirname, "..");
const folder = join(root, ".tripline", "openapi");
const spec = join(folder, "openapi.json");
const go = join(folder, "go");
const typescript = join(folder, "typescript");
const python = join(folder, "venv", "bin", "python");

const versions = {
  ogen: "v1.24.0",
  "oapi-codegen": "v2.8.2",
  "openapi-typescript": "7.13.0",
  "openapi-python-client": "0.29.1",
};

/** Runs a program. @throws if it fails */
function run(program: string, words: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): void {
  const commandLine = [program, ...words].join(" ").replaceAll(`${root}/`, "");
  console.log(`$ ${commandLine}`);
  const { status, error } = spawnSync(program, words, {
    cwd,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...env },
  });
  if (error !== undefined) console.error(`${program} cannot be run (${error.message}). Install it first.`);
  if (status !== 0) throw new Error(`Failed: ${commandLine}`);
}

function setUp(): void {
  for (const path of [join(go, "ogen"), join(go, "oapi"), typescript]) mkdirSync(path, { recursive: true });
  const bin = { GOBIN: join(folder, "bin") };
  if (!existsSync(join(folder, "bin", "ogen"))) {
    run("go", ["install", `github.com/ogen-go/ogen/cmd/ogen@${versions.ogen}`], folder, bin);
  }
  if (!existsSync(join(folder, "bin", "oapi-codegen"))) {
    const source = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen";
    run("go", ["install", `${source}@${versions["oapi-codegen"]}`], folder, bin);
  }
  if (!existsSync(join(folder, "venv", "bin", "openapi-python-client"))) {
    run("python3", ["-m", "venv", "venv"], folder);
    run(
      python,
      ["-m", "pip", "install", "--quiet", `openapi-python-client==${versions["openapi-python-client"]}`],
      folder,
    );
  }
  if (!existsSync(join(typescript, "node_modules", "openapi-typescript"))) {
    writeFileSync(join(typescript, "package.json"), '{ "private": true }\n');
    const wanted = `openapi-typescript@${versions["openapi-typescript"]}`;
    run("npm", ["install", "--silent", "--no-save", wanted, "typescript@5"], typescript);
  }
  if (!existsSync(join(go, "go.mod"))) run("go", ["mod", "init", "example.org/tripline"], go);
}

/** The generator warns about operations that it leaves out, so a warning fails the check. */
function generatePython(): void {
  const program = join(folder, "venv", "bin", "openapi-python-client");
  const words = ["generate", "--path", spec, "--output-path", "client", "--overwrite", "--meta", "none"];
  const path = `${join(folder, "venv", "bin")}:${process.env["PATH"]}`;
  run(program, [...words, "--fail-on-warning"], folder, { PATH: path });
  const modules = readdirSync(join(folder, "client", "api"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".py") && !name.endsWith("__init__.py"))
    .map((name) => `client.api.${name.slice(0, -3).replaceAll("/", ".")}`);
  run(
    python,
    ["-c", `import importlib\nfor name in ${JSON.stringify(modules)}: importlib.import_module(name)`],
    folder,
  );
}

setUp();
writeFileSync(spec, JSON.stringify(document, null, 2));

const inTypescript = (name: string) => join(typescript, "node_modules", ".bin", name);
run(inTypescript("openapi-typescript"), [spec, "-o", "client.ts"], typescript);
const options = { noEmit: true, strict: true, target: "es2022", types: [] };
writeFileSync(
  join(typescript, "tsconfig.json"),
  JSON.stringify({ compilerOptions: options, files: ["client.ts"] }),
);
run(inTypescript("tsc"), ["-p", "."], typescript);

generatePython();

const oapi = ["-generate", "types,client", "-package", "oapi", "-o", join(go, "oapi", "client.go"), spec];
run(join(folder, "bin", "oapi-codegen"), oapi, go);
run(join(folder, "bin", "ogen"), ["--target", join(go, "ogen"), "--package", "ogen", "--clean", spec], go);
const calls = join(go, "calls");
mkdirSync(calls, { recursive: true });
writeFileSync(join(calls, "main.go"), goCalls);
run("go", ["mod", "tidy"], go);
run("go", ["build", "./..."], go);

writeFileSync(join(folder, "calls.py"), pythonCalls);
run("go", ["build", "-o", "calls", "./calls"], go);
const server = await ContractServer.start();
try {
  await server.emit(pumpEvent());
  run(python, ["calls.py", server.api], folder);
  run(join(calls, "calls"), [server.api], go);
} finally {
  await server.stop();
}

console.log(
  "All four generators read the document, their clients compile, and those for Python and Go work with a server.",
);
