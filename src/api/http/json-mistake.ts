/**
 * Says where a text stops being JSON. JSON.parse knows, but does not always tell; this is for the text that it has
 * refused, so it need not be fast.
 */

export interface JsonMistake {
  /** Characters from the start. */
  readonly position: number;
  readonly line: number;
  readonly column: number;
  readonly expected: string;
}

const space = /[ \t\n\r]*/y;
const scalar = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// In pieces: a pattern for a whole string would need a stack as long as the string.
const plainCharacters = /[^"\\\u0000-\u001f]{1,4096}/y;
const escapedCharacter = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** The first place where `text` is not JSON, or null when it is. */
export function jsonMistake(text: string): JsonMistake | null {
  const open: ("[" | "{")[] = [];
  let position = 0;
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = position;
    if (!pattern.test(text)) return false;
    position = pattern.lastIndex;
    return true;
  };
  const takeChar = (char: string): boolean => {
    take(space);
    if (text[position] !== char) return false;
    position += 1;
    return true;
  };
  /** Reads a string; stays at its start when it is not complete. */
  const takeString = (): boolean => {
    const start = position;
    position += 1;
    while (take(plainCharacters) || take(escapedCharacter));
    if (text[position] === '"') {
      position += 1;
      return true;
    }
    position = start;
    return false;
  };
  const mistake = (expected: string): JsonMistake => {
    take(space);
    const before = text.slice(0, position).split("\n");
    return { position, line: before.length, column: (before.at(-1) ?? "").length + 1, expected };
  };
  /** Reads `"key":`; says what is missing. */
  const missingOfKey = (): string | null => {
    take(space);
    if (text[position] !== '"') return "a key in double quotes";
    if (!takeString()) return "a complete string";
    return takeChar(":") ? null : "a colon after the key";
  };

  for (;;) {
    // A value begins here.
    if (takeChar("[")) {
      if (!takeChar("]")) {
        open.push("[");
        continue;
      }
    } else if (takeChar("{")) {
      if (!takeChar("}")) {
        open.push("{");
        const missing = missingOfKey();
        if (missing !== null) return mistake(missing);
        continue;
      }
    } else {
      take(space);
      if (text[position] === '"') {
        if (!takeString()) return mistake("a complete string");
      } else if (!take(scalar)) {
        return mistake("a value");
      }
    }
    // A value has ended: close what ends with it, up to the comma before the next.
    for (;;) {
      const container = open.at(-1);
      if (container === undefined) {
        take(space);
        return position === text.length ? null : mistake("the end of the text");
      }
      if (takeChar(",")) {
        const missing = container === "{" ? missingOfKey() : null;
        if (missing !== null) return mistake(missing);
        break;
      }
      const end = container === "[" ? "]" : "}";
      if (!takeChar(end)) return mistake(`a comma or ${end}`);
      open.pop();
    }
  }
}
