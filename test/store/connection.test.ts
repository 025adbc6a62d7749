import { describe, expect, test } from "vitest";
import { RedisUnreachable } from "../../src/store/connection.ts";

/** As ioredis rejects a transaction. */
function transactionError(message: string): Error & { previousErrors: Error[] } {
  return Object.assign(new Error(message), { previousErrors: [] });
}

describe("why Redis cannot be reached", () => {
  test("of a transaction that was refused is told by what was refused in it", () => {
    const error = transactionError("EXECABORT Transaction discarded because of previous errors.");
    error.previousErrors.push(new Error("OOM command not allowed when used memory > 'maxmemory'."));
    expect(new RedisUnreachable(error).message).toMatch(/: OOM command not allowed/);
  });

  // Then every command of it is rejected with one and the same error, which names itself as its cause.
  test("of a transaction that was cut off is told by the connection", () => {
    const error = transactionError("read ECONNRESET");
    error.previousErrors.push(error, error);
    expect(new RedisUnreachable(error).message).toMatch(/: read ECONNRESET$/);
  });
});
