/** A complete `tripline serve`, and plain HTTP requests to it, as any client may send them. */

import { randomUUID } from "node:crypto";
import { Sandbox, type Server } from "../cli/support.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

export type Json = Record<string, unknown>;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Null when the answer has no body. */
  readonly body: unknown;
}

export interface Call {
  /** Sent as JSON, with its Content-Type. */
  readonly json?: unknown;
  /** Sent unchanged, without a Content-Type. */
  readonly raw?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Record<string, string>;
}

/** A mistake, as a 422 lists it. */
export interface Mistake {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly msg: string;
}

export class ContractServer {
  readonly sandbox: Sandbox;
  readonly redis: TestRedis;
  readonly server: Server;

  private constructor(sandbox: Sandbox, redis: TestRedis, server: Server) {
    this.sandbox = sandbox;
    this.redis = redis;
    this.server = server;
  }

  /** @param options of `tripline serve`, or a function that makes them with the sandbox */
  static async start(
    options: readonly string[] | ((sandbox: Sandbox) => readonly string[]) = [],
  ): Promise<ContractServer> {
    const redis = await startRedis();
    const sandbox = new Sandbox();
    const serveOptions = typeof options === "function" ? options(sandbox) : options;
    try {
      return new ContractServer(sandbox, redis, await sandbox.serve(redis.url, serveOptions));
    } catch (error) {
      await sandbox.close();
      await redis.stop();
      throw error;
    }
  }

  /** What PREFECT_API_URL would be. */
  get api(): string {
    return this.server.api;
  }

  async call(method: string, path: string, { json, raw, headers = {} }: Call = {}): Promise<Answer> {
    const type = json === undefined ? {} : { "Content-Type": "application/json" };
    const body = json === undefined ? raw : JSON.stringify(json);
    const url = path.startsWith("http") ? path : `${this.api}${path}`;
    const response = await fetch(url, {
      method,
      redirect: "manual",
      headers: { ...type, ...headers },
      // Bytes, because fetch would add a Content-Type to text.
      ...(body === undefined ? {} : { body: typeof body === "string" ? Buffer.from(body) : body }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: text === "" ? null : isJson ? JSON.parse(text) : text,
    };
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.call("GET", path, { headers });
  }

  post(path: string, json?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return this.call("POST", path, { json, headers });
  }

  /** Posts events, and expects the server to accept them. */
  async emit(...events: Json[]): Promise<void> {
    const { status, text } = await this.post("/events", events);
    if (status !== 204) throw new Error(`Events were rejected with ${status}: ${text}`);
  }

  /** Creates the server's first key, with all scopes, and waits until requests without a key are rejected. */
  async makeKey(): Promise<string> {
    const command = ["keys", "create", "--name", "contract", "--scope", "admin", "--redis", this.redis.url];
    const { stdout } = await this.sandbox.output(command);
    while ((await this.get("/hello")).status !== 401);
    return stdout.trim();
  }

  /** The errors that the server logged. */
  get loggedErrors(): string[] {
    return this.server.process.stdout.split("\n").filter((line) => /"level":"(?:error|fatal)"/.test(line));
  }

  async stop(): Promise<void> {
    await this.server.process.end();
    await this.sandbox.close();
    await this.redis.stop();
  }
}

/** A valid event of the greenhouse, with the given changes. */
export function pumpEvent(changes: Json = {}): Json & { id: string } {
  return {
    id: randomUUID(),
    occurred: new Date().toISOString(),
    event: "pump.stopped",
    resource: { "prefect.resource.id": "pump.1" },
    ...changes,
  } as Json & { id: string };
}

/** The mistakes that a 422 lists. */
export function mistakesOf({ body }: Answer): Mistake[] {
  return (body as { exception_detail: Mistake[] }).exception_detail;
}

/** The place and type of each mistake, such as `body.0.resource: missing`. */
export function placesOf(answer: Answer): string[] {
  return mistakesOf(answer).map(({ loc, type }) => `${loc.join(".")}: ${type}`);
}
