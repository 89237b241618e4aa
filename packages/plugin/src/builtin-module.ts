import { isBuiltin } from 'node:module'

/**
 * Whether `specifier` names a module of Node's own. All that begins with `node:` does, also where the
 * Node at hand lacks it: what a plugin imports must not depend on the Node that it was built with.
 */
export function isBuiltinModule(specifier: string): boolean {
  return specifier.startsWith('node:') || isBuiltin(specifier)
}
