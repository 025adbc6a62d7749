#!/usr/bin/env node
/**
 * Where the command `tripline` begins: refuses a Node that is too old before it loads anything that needs a newer one.
 */

const oldest = { major: 22, minor: 13 };

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < oldest.major || (major === oldest.major && minor < oldest.minor)) {
  console.error(
    `tripline needs Node ${oldest.major}.${oldest.minor} or newer; this is Node ${process.versions.node}.`,
  );
  process.exit(1);
}

await import("./main.ts");
