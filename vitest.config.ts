import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // What is waited for comes at once on an idle machine; on a busy one, starting a process alone takes seconds.
    expect: { requireAssertions: true, poll: { timeout: 30_000 } },
  },
});
