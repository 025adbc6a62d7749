#!/usr/bin/env node
// Starts the command on a Node that runs TypeScript as it is: this one when it is new enough, else the one that
// the package `node` brought along. A published package carries compiled files, because Node does not strip types
// below node_modules.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module, { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const compiled = join(root, "dist", "src", "cli", "main.js");
const main =
  root.includes("node_modules") && existsSync(compiled) ? compiled : join(root, "src", "cli", "main.ts");
const [major = 0] = process.versions.node.split(".").map(Number);

if (major >= 24) {
  // Halves the time to start. Not in the system's folder for temporary files, where others could leave us theirs.
  module.enableCompileCache(join(root, "node_modules", ".cache", "tripline"));
  await import(pathToFileURL(main).href);
} else {
  startOnPinnedNode();
}

function startOnPinnedNode() {
  const pinned = join(dirname(createRequire(import.meta.url).resolve("node/package.json")), "bin", "node");
  if (!existsSync(pinned)) {
    console.error(
      `tripline needs Node 24 or newer; this is ${process.version} and ${pinned} is missing. Run: npm ci`,
    );
    process.exit(1);
  }
  // The channel tells the command when this process is gone, however it ended.
  const command = spawn(pinned, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]) {
    process.on(signal, () => command.kill(signal));
  }
  command.on("exit", (status, signal) => {
    if (signal === null) process.exit(status ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
