import { describe, expect, test } from "vitest";
import { RedisUnreachable } from "../../src/store/connection.ts";

/** The error of a transaction that ioredis rejects. */
function transactionError(message: string): Error & { previousErrors: Error[] } {
  return Object.assign(new Error(message), { previousErrors: [] });
}

describe("the message of RedisUnreachable", () => {
  test("quotes the command that made a transaction fail", () => {
    const error = transactionError("EXECABORT Transaction discarded because of previous errors.");
    error.previousErrors.push(new Error("OOM command not allowed when used memory > 'maxmemory'."));
    expect(new RedisUnreachable(error).message).toMatch(/: OOM command not allowed/);
  });

  // ioredis rejects every command of the transaction with the same error, which lists itself as a previous one.
  test("quotes the connection's error when a transaction was cut off", () => {
    const error = transactionError("read ECONNRESET");
    error.previousErrors.push(error, error);
    expect(new RedisUnreachable(error).message).toMatch(/: read ECONNRESET$/);
  });
});
