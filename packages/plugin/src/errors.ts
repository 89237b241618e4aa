/**
 * Every way in which a plugin file or a platform says no. Codes are API: they do not change, and a
 * message may. `docs/errors.md` lists them with what to do about each.
 */
export const pluginErrorCodes = {
  // The file, before anything in it is believed.
  'not-found': 'there is no file at the path',
  'not-a-file': 'the path is a directory, a socket, a pipe or a device',
  unreadable: 'the operating system refused to read the file',
  'refused-path': 'the file lies outside the allowed directories, or others may write to it',
  empty: 'the file has no bytes',
  'too-large': 'the file is larger than the limit',
  'changed-while-reading': 'the file was written to while it was read',
  'not-a-plugin': 'the file does not begin as a plugin file does',
  'newer-format': 'the file was made for a later format than this host reads',
  'manifest-too-large': 'the manifest line is longer than the limit',
  'manifest-mismatch': 'the manifest is not the one that was written',
  'malformed-manifest': 'the manifest is not what the format says',
  'malformed-signature': 'the second line is neither empty nor a signature',
  truncated: 'the file ends before its code does',
  'code-mismatch': 'the code is not the code that the manifest describes',
  // Who made it.
  unsigned: 'a signature is required and there is none',
  'untrusted-key': 'the signature was made with a key that is not trusted',
  'bad-signature': 'the signature does not fit the manifest',
  'malformed-key': 'a key is not an ed25519 key in PEM form',
  // Whether it fits this host.
  'unknown-type': 'the host has no such type of plugin',
  incompatible: 'a host package, or Node, is missing or of a version outside the range',
  'import-refused': 'the plugin imports something that the host does not allow',
  'version-taken': 'the name and version belong to a plugin with other content',
  // Running it.
  'module-threw': 'module code threw',
  'module-rejected': 'module code left a promise that rejected',
  'not-opening': 'register was called outside a plugin file',
  forbidden: 'the plugin called what would end or change its host',
  // Using it.
  'unknown-symbol': 'the plugin has no such symbol',
  'not-callable': 'the symbol is not a function in this version',
  'no-such-plugin': 'nothing is registered under the name',
  'no-such-version': 'no registered version is in the range',
  'invalid-range': 'the text is not a range of semantic versions',
  'invalid-name': 'the name is empty, too long, or has characters that a name may not have',
  'invalid-version': 'the text is not a semantic version',
  'invalid-option': 'an option is unknown or has a value that it cannot have',
  closed: 'the plugin or the platform was closed',
  'dispose-failed': "the plugin's own dispose threw, rejected or took too long",
  // Building it.
  'entry-not-found': 'there is no such source file',
  'syntax-error': 'the source does not parse',
  'unresolved-import': 'an import leads nowhere',
  'top-level-await': 'the source awaits at top level',
  'native-addon': 'the source needs a native addon',
  'host-package-bundled': 'a copy of a host package would end up in the file',
  'commonjs-entry':
    'the entry is, or exports all of, a CommonJS module, whose symbols cannot be read without running it',
  'esbuild-missing': 'esbuild is not installed',
  'build-failed': 'esbuild failed for another reason',
  'write-failed': 'the operating system refused to write the output',
} as const

export type PluginErrorCode = keyof typeof pluginErrorCodes

/** One of several reasons for a refusal. */
export interface PluginProblem {
  readonly code: PluginErrorCode
  readonly message: string
}

export interface PluginErrorDetails {
  /** The file that the error is about. */
  readonly path?: string | undefined
  /** What was thrown underneath. */
  readonly cause?: unknown
  /** All reasons, where there are several; the error's own code is that of the first. */
  readonly problems?: readonly PluginProblem[] | undefined
}

const brand = Symbol.for('micrograft.PluginError')

/**
 * What every function of this package throws or rejects with. Test `error.code`. `instanceof` also
 * holds for an error made by another copy of this package, as a bundled host may have one.
 */
export class PluginError extends Error {
  override readonly name = 'PluginError'
  readonly code: PluginErrorCode
  readonly path: string | undefined
  readonly problems: readonly PluginProblem[]

  constructor(code: PluginErrorCode, message: string, details: PluginErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.code = code
    this.path = details.path
    this.problems = details.problems ?? [{ code, message }]
    Object.defineProperty(this, brand, { value: true })
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && brand in value
  }
}

/** The message of anything that can be thrown, for a sentence in another message. */
export function reason(thrown: unknown): string {
  try {
    if (thrown instanceof Error) return String(thrown.message || thrown.name)
    return typeof thrown === 'object' ? (JSON.stringify(thrown) ?? 'an object') : String(thrown)
  } catch {
    // A getter, a proxy: to read what was thrown can throw again.
    return `a value that cannot be shown (${typeof thrown})`
  }
}

/** An error whose stack was never read keeps its frames, and with them the plugin that they are of. */
export function releaseFrames(thrown: unknown): void {
  try {
    if (thrown instanceof Error) void thrown.stack
  } catch {
    return
  }
}

/** The `code` of an operating system error, such as `ENOENT`. */
export function systemCode(thrown: unknown): string | undefined {
  const code = (thrown as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' ? code : undefined
}
