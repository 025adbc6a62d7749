/** The HTTP client for webhooks: connects to public addresses only, keeps to a deadline, and reads little of a response. */

import { type LookupAddress, lookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { Agent, buildConnector, type Dispatcher } from "undici";
import {
  type AddressPolicy,
  AddressRefused,
  type AllowedPrivateAddresses,
  addressPolicy,
} from "./address-policy.ts";
import { type EndpointLimits, Endpoints, endpointLimits } from "./endpoints.ts";

export interface WebhookRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  /** Covers everything: the DNS lookup, connecting, sending, and reading the response. */
  readonly timeoutMs: number;
}

export interface WebhookResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The beginning of the body. */
  readonly excerpt: string;
}

export interface WebhookClientOptions {
  /** Loopback, private and other addresses that are not public are refused unless listed here. */
  readonly dangerouslyAllowPrivateAddresses?: AllowedPrivateAddresses;
  readonly limits?: Partial<EndpointLimits>;
}

/** How much of a response body is kept. */
const excerptBytesMax = 4_096;
/** The rest of a body is read and dropped up to this size, so that the connection can be reused. */
const responseBytesMax = 131_072;

export class WebhookClient {
  readonly endpoints: Endpoints;
  /** Resolves a host to the addresses that may be connected to. */
  readonly lookup: LookupFunction;
  readonly #isAllowed: AddressPolicy;
  readonly #agent: Agent;
  readonly #inFlight = new Set<{ readonly signal: AbortSignal; readonly request: AbortController }>();
  readonly #stops = new WeakSet<AbortSignal>();

  /** @throws Error when an allowed network is invalid */
  constructor(options: WebhookClientOptions = {}) {
    const limits = { ...endpointLimits, ...options.limits };
    const isAllowed = addressPolicy(options.dangerouslyAllowPrivateAddresses ?? false);
    this.endpoints = new Endpoints(limits);
    this.lookup = guardedLookup(isAllowed);
    this.#isAllowed = isAllowed;
    this.#agent = new Agent({
      connect: guardedConnector(isAllowed),
      connections: limits.concurrencyMax,
      headersTimeout: 0, // the request's own deadline covers headers and body
      bodyTimeout: 0,
    });
  }

  /**
   * Sends one request. Redirects are not followed: they are responses like any other.
   *
   * @throws AddressRefused, TimeoutError, any network error, and InvalidArgumentError for a header that cannot be sent
   */
  async send(request: WebhookRequest, stop: AbortSignal): Promise<WebhookResponse> {
    const { url, method, headers, body, timeoutMs } = request;
    const { controller, clear } = this.#startTimeout(timeoutMs, stop);
    try {
      const response = await this.#agent.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: method as Dispatcher.HttpMethod,
        headers,
        body,
        signal: controller.signal,
      });
      const { statusCode: status } = response;
      return { status, headers: response.headers, excerpt: await readExcerpt(response.body) };
    } finally {
      clear();
    }
  }

  /**
   * Aborts after this time, or when the worker stops. A process that was paused or starved first looks at what has arrived
   * meanwhile: the endpoint may have responded in time.
   */
  #startTimeout(ms: number, stop: AbortSignal): { readonly controller: AbortController; clear(): void } {
    const controller = new AbortController();
    const abort = () => controller.abort(new DOMException("The request timed out", "TimeoutError"));
    // Immediates run after incoming data has been read; the second one, after what follows from that.
    const timer = setTimeout(() => setImmediate(() => setImmediate(abort)), ms);
    // One listener for all requests: a signal of its own for each (`AbortSignal.any`) costs a tenth of a delivery.
    if (!this.#stops.has(stop)) {
      this.#stops.add(stop);
      stop.addEventListener("abort", () => {
        for (const { signal, request } of this.#inFlight) if (signal === stop) request.abort(stop.reason);
      });
    }
    const entry = { signal: stop, request: controller };
    this.#inFlight.add(entry);
    if (stop.aborted) controller.abort(stop.reason);
    const clear = () => {
      clearTimeout(timer);
      this.#inFlight.delete(entry);
    };
    return { controller, clear };
  }

  /** Checks a literal address, which is connected to without a lookup. @throws AddressRefused */
  checkHost(host: string): void {
    if (isIP(host) !== 0 && !this.#isAllowed(host)) throw new AddressRefused(host, host);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

/** The beginning of a body. The rest is read and dropped, unless it is long: then the connection is closed. */
function readExcerpt(body: Dispatcher.ResponseData["body"]): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const finish = () => resolve(Buffer.concat(chunks).subarray(0, excerptBytesMax).toString());
    body
      .on("data", (chunk: Buffer) => {
        if (length < excerptBytesMax) chunks.push(chunk);
        length += chunk.length;
        if (length <= responseBytesMax) return;
        finish();
        body.destroy();
      })
      .on("end", finish)
      .on("error", reject);
  });
}

/** Checks the very address that is connected to, so that a name cannot resolve differently after the check. */
function guardedConnector(isAllowed: AddressPolicy): buildConnector.connector {
  const connect = buildConnector({ lookup: guardedLookup(isAllowed) });
  return (options, callback) => {
    // A literal address is connected to without a lookup.
    const address = options.hostname.replace(/^\[|\]$/g, "");
    if (isIP(address) !== 0 && !isAllowed(address)) callback(new AddressRefused(address, address), null);
    else connect(options, callback);
  };
}

function guardedLookup(isAllowed: AddressPolicy): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return callback(error, "", 0);
      const allowed = addresses.filter(({ address }) => isAllowed(address));
      const [first] = allowed;
      if (first === undefined) {
        return callback(new AddressRefused(hostname, addresses[0]?.address ?? "no address"), "", 0);
      }
      if (options.all === true) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}
