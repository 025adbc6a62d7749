/** Makes sure that this machine has Chromium or Chrome: for the tests of the dashboard, and its screenshots. */

import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensureProgram } from "./ensure-program.ts";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const macPaths = [
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** The path of the browser: TRIPLINE_CHROMIUM, or the first that is found; null if there is none. */
export function findChromium(): string | null {
  const named = process.env["TRIPLINE_CHROMIUM"];
  if (named !== undefined && named !== "") return named;
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const paths = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  return [...paths, ...macPaths].find((path) => existsSync(path)) ?? null;
}

export function ensureChromium(): void {
  ensureProgram({
    name: "Chromium",
    isInstalled: () => findChromium() !== null,
    debianPackage: "chromium",
    brewPackage: ["--cask", "google-chrome"],
    otherwise: "Install Chromium or Chrome, or set TRIPLINE_CHROMIUM to its path.",
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) ensureChromium();
