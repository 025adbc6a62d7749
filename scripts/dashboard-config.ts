/**
 * How the dashboard is built: `npm run build` and `npm start` do it, and `npm run dashboard` serves it from its sources to
 * someone who works on it, with the API of a server on port 4200.
 */

import { join, resolve } from "node:path";
import type { UserConfig } from "vite";

const root = resolve(import.meta.dirname, "..");

/** The folder that servers read it from. */
export const dashboardFolder = join(root, "dist", "dashboard");

const config: UserConfig = {
  root: join(root, "src", "dashboard"),
  // All links are relative, because a proxy may serve the dashboard below any path.
  base: "./",
  logLevel: "warn",
  cacheDir: join(root, "node_modules", ".cache", "vite-dashboard"),
  build: {
    outDir: dashboardFolder,
    emptyOutDir: true,
    // Browsers that know light-dark() and the other means of the style sheets.
    target: ["chrome123", "firefox121", "safari17.5"],
    assetsInlineLimit: 0, // the Content-Security-Policy allows nothing inline
    modulePreload: { polyfill: false },
    license: { fileName: "licenses.md" },
    rolldownOptions: {
      // Nothing here runs on a server, so it does not matter which parts of a library would have to run in a browser.
      onwarn: (warning, warn) => (warning.code === "MODULE_LEVEL_DIRECTIVE" ? undefined : warn(warning)),
    },
  },
  server: {
    proxy: { "/api": { target: "http://127.0.0.1:4200", ws: true }, "/docs": "http://127.0.0.1:4200" },
  },
};

export default config;
