#!/usr/bin/env node
/**
 * Where the command `tripline` begins: refuses an unsupported Node before it loads anything that needs a newer one.
 */

// As `engines` in package.json has it: node:sqlite has what the history needs since 22.16, and not in all of 23.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (!((major === 22 && minor >= 16) || major >= 24)) {
  console.error(`tripline needs Node 22.16 or newer, except 23. This is Node ${process.versions.node}.`);
  process.exit(1);
}

const { dropExperimentalWarnings } = await import("./quiet-warnings.ts");
dropExperimentalWarnings();
await import("./main.ts");
