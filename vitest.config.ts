import { defineConfig } from "vitest/config";
import { testGroups } from "./test/support/groups.ts";
import { chooseSeed } from "./test/support/seed.ts";

const { fast, real } = testGroups();

export default defineConfig({
  test: {
    // `npm run test:fast` runs the first alone.
    projects: [
      { extends: true, test: { name: "fast", include: [...fast] } },
      { extends: true, test: { name: "real", include: [...real] } },
    ],
    env: { TRIPLINE_TEST_SEED: String(chooseSeed(process.env["TRIPLINE_TEST_SEED"])) },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // What is waited for comes at once on an idle machine; on a busy one, starting a process alone takes seconds.
    expect: { requireAssertions: true, poll: { timeout: 30_000 } },
  },
});
