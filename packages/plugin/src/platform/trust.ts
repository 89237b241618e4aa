import { realpathSync } from 'node:fs'
import { PluginError } from '../errors.js'
import { trustKeys, type SignaturePolicy, type TrustedKeys } from '../format/signature.js'
import { defaultMaxBytes, type ReadLimits } from '../load/read-file.js'
import { requireCount, requireTexts, resolveOptions } from '../options.js'

/** Which files are taken. */
export interface Trust {
  /** Public ed25519 keys in PEM form. @default none */
  readonly keys?: readonly string[] | undefined
  /** @default `required` where there are keys, else `off` */
  readonly policy?: SignaturePolicy | undefined
  /** Folders that plugin files must lie in, links followed. @default anywhere */
  readonly directories?: readonly string[] | undefined
  /** Refuses a file that the group or others may write to, or whose folder they may. Not on Windows. @default false */
  readonly ownerOnly?: boolean | undefined
}

/** What one `open` is checked against, or all of a platform's. */
export interface OpenOptions {
  /** Each field that is given takes the place of the platform's. */
  readonly trust?: Trust | undefined
  /** Largest file, in bytes. @default 67_108_864 (64 MiB) */
  readonly maxBytes?: number | undefined
}

/** `OpenOptions`, complete and checked. */
export interface Admission {
  readonly limits: ReadLimits
  readonly keys: TrustedKeys
  readonly policy: SignaturePolicy
}

const policies: readonly SignaturePolicy[] = ['required', 'if-present', 'off']

/** @throws `invalid-option`, `malformed-key` or `not-found` for a directory that is not there. */
export function admission(platform: OpenOptions, options: OpenOptions = {}): Admission {
  const given = resolveOptions('the options of open', { trust: undefined, maxBytes: undefined }, options)
  const maxBytes = given.maxBytes ?? platform.maxBytes ?? defaultMaxBytes
  const none = { keys: undefined, policy: undefined, directories: undefined, ownerOnly: undefined }
  const base = resolveOptions<Trust, typeof none>('the trust options', none, platform.trust)
  const {
    keys = [],
    directories,
    ownerOnly = false,
    policy: asked,
  } = resolveOptions<Trust, typeof base>('the trust options', base, given.trust)
  requireTexts('trust.keys', keys)
  requireTexts('trust.directories', directories)
  const policy = asked ?? (keys.length > 0 ? 'required' : 'off')
  if (!policies.includes(policy)) {
    throw new PluginError(
      'invalid-option',
      `the signature policy ${JSON.stringify(policy)} is none of ${policies.join(', ')}`,
    )
  }
  requireCount('maxBytes', maxBytes, 1)
  return {
    limits: { maxBytes, directories: directories?.map(realDirectory), ownerOnly },
    keys: trustKeys(keys),
    policy,
  }
}

function realDirectory(directory: string): string {
  try {
    return realpathSync(directory)
  } catch (cause) {
    throw new PluginError(
      'not-found',
      `the allowed directory ${directory} is not there; make it, or take it out of trust.directories`,
      { path: directory, cause },
    )
  }
}
