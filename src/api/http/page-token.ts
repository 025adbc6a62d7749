/**
 * Page tokens: how the dashboard uses an API key that no script can read.
 *
 * After a person signs in, the key is in a cookie that only the browser itself handles (HttpOnly, SameSite). A cookie alone
 * opens nothing, because a browser also sends it with requests that other pages caused. Each request must also carry the page
 * token in `Authorization`, where another page cannot put it: the token is made from the key, and only pages of this server
 * can ask for it. Neither the cookie nor the token is of use without the other.
 */

import { createHmac, timingSafeEqual } from "node:crypto";
import { parse } from "hono/utils/cookie";

export const cookieName = "tripline_key";

const prefix = "page_";

/** The page token of an API key. */
export function pageTokenOf(key: string): string {
  return `${prefix}${createHmac("sha256", key).update("tripline page token").digest("base64url")}`;
}

/** The API key in the cookie of a request; null if there is none. */
export function keyInCookie(headers: Headers): string | null {
  const cookie = headers.get("cookie");
  return (cookie === null ? undefined : parse(cookie, cookieName)[cookieName]) || null;
}

/**
 * The API key that a token stands for: that of the cookie for its page token, and every other token for itself.
 *
 * @returns null if a page token does not belong to the cookie, as after another person has signed in
 */
export function keyOf(token: string, headers: Headers): string | null {
  if (!token.startsWith(prefix)) return token;
  const key = keyInCookie(headers);
  if (key === null) return null;
  const [expected, presented] = [Buffer.from(pageTokenOf(key)), Buffer.from(token)];
  return expected.length === presented.length && timingSafeEqual(expected, presented) ? key : null;
}
