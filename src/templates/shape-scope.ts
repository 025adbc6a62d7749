/** What is known about the variables of a template, in the part of it where they have that value. */

import { constants } from "./evaluator.ts";
import { any, missing, type Shape, truth, variableShapes } from "./shapes.ts";

export function scopeOf(names: readonly string[]): ShapeScope {
  const scope = new ShapeScope(null);
  for (const name of names) scope.names.set(name, variableShapes.get(name) ?? any);
  return scope;
}

export class ShapeScope {
  readonly names = new Map<string, Shape>();
  readonly outer: ShapeScope | null;

  constructor(outer: ShapeScope | null) {
    this.outer = outer;
  }

  find(name: string): Shape {
    for (let scope: ShapeScope | null = this; scope !== null; scope = scope.outer) {
      const shape = scope.names.get(name);
      if (shape !== undefined) return shape;
    }
    if (!constants.has(name)) return any;
    return constants.get(name) === null ? missing : truth;
  }
}
