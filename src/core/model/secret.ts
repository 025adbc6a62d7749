/**
 * Secrets that sign requests, as in the Standard Webhooks convention: the key in base64, with or without `whsec_` in
 * front; or any other text, whose bytes are the key.
 */

/** Shown in place of a secret. Sent back, it stands for the stored secret, as long as that goes where it went before. */
export const secretMask = "********";

/** For a mask that stands for nothing: in a rule file, or where no secret is stored. */
export const maskProblem = `${secretMask} is the mask of a stored secret, not a secret; write the secret itself`;

const prefix = "whsec_";

/** Some services print the version of the scheme in front. */
const written = /^(?:v1,)?whsec_/;

/** At least one byte. Padding is optional, because some services print their secrets without it. */
const base64 = /^(?=.)(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;
const paddedBase64 = /^(?=.)(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** From so many characters on, which are 16 bytes, base64 is a key even without padding. Shorter texts may be words. */
const keyLengthMin = 22;

/** The keys of asymmetric signatures. */
const asymmetric = /^(?:v1a,)?wh[sp]k_|^v1a,/;

/** Whether a text is base64 without `whsec_`, as the official libraries read it. */
function isBareBase64(text: string): boolean {
  return paddedBase64.test(text) || (text.length >= keyLengthMin && base64.test(text));
}

/** Whether it is one of several secrets, and not a word of a text. Without `whsec_` it needs the 24 bytes of the standard. */
function isKey(part: string): boolean {
  return written.test(part) || (part.length >= 32 && base64.test(part));
}

/** The secrets in a text: several keys, separated by white space, while one replaces another; else the text. */
function secretsIn(text: string): readonly string[] {
  const parts = text.trim().split(/\s+/);
  if (parts.length > 1 && parts.every(isKey)) return parts;
  // White space around a key comes from the file that held it. It is a part of any other text.
  const [only = ""] = parts;
  return parts.length === 1 && (written.test(only) || isBareBase64(only)) ? parts : [text];
}

/** What is wrong with a signing secret; null when requests can be signed with it. Never repeats the secret. */
export function signingSecretProblem(secret: string): string | null {
  if (secret === "") return "secret should not be empty";
  const parts = secret.trim().split(/\s+/);
  if (parts.some((part) => asymmetric.test(part))) {
    return `secret is a key for asymmetric signatures (v1a), which are not supported; use one that begins with ${prefix}`;
  }
  const isWrong = (part: string) => written.test(part) && !base64.test(part.replace(written, ""));
  if (secretsIn(secret).some(isWrong)) {
    return `secret begins with ${prefix}, but what follows is not base64; copy it again, or use a secret without ${prefix}`;
  }
  if (parts.length > 1 && parts.some((part) => written.test(part)) && !parts.every(isKey)) {
    return `secret holds several parts, and not all of them are keys in base64; separate only secrets such as ${prefix}… with spaces`;
  }
  return null;
}

/** The key of a secret: in base64 with its padding, or a text whose bytes are the key. */
export type SigningKey = { readonly base64: string } | { readonly text: string };

/**
 * The keys of a secret, the newest first. A sender signs with all of them, and a receiver accepts each.
 *
 * As in the official libraries, `whsec_` may be left out: base64 stands for its bytes either way. What is not base64
 * stands for its own bytes, and so does a word that only looks like base64 without its padding.
 *
 * @param secret in which `signingSecretProblem` finds nothing wrong
 */
export function signingKeysOf(secret: string): readonly SigningKey[] {
  return secretsIn(secret).map((part) => {
    const digits = part.replace(written, "");
    if (digits === part && !isBareBase64(part)) return { text: part };
    const bare = digits.replace(/={1,2}$/, "");
    return { base64: bare.padEnd(Math.ceil(bare.length / 4) * 4, "=") };
  });
}
