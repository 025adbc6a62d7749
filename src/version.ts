/**
 * The version of Tripline, from package.json, which is next to both src/ and the compiled dist/.
 */

import { readFileSync } from "node:fs";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};

export { version };
