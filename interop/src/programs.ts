import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { protocols, type Protocol } from './cells.js'
import { bringSources } from './sources.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const sources = join(root, 'interop/go')
const built = join(root, '.cache/interop')
/** Under which import path of go-micro the program is written. */
const written = 'go-micro.dev/v5'

/** A version of go-micro, and its programs where there are any. */
export interface Release {
  /** As its folder, e.g. `v2`. */
  readonly version: string
  /** What its go.mod names, e.g. `2.9.1`. */
  readonly release: string
  /** Their paths, or why there are none. */
  readonly programs: Readonly<Record<Protocol, string>> | { readonly whyNone: string }
}

/** What Go says of itself, e.g. `go1.26.8`; `undefined` where there is none. */
export async function goVersion(): Promise<string | undefined> {
  try {
    return (await go(['env', 'GOVERSION'], sources)).trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Builds the programs of every version; those whose sources have not changed are there already. */
export async function buildPrograms(toolchain: string): Promise<readonly Release[]> {
  const versions = (await readdir(sources)).filter((name) => /^v\d+$/.test(name)).sort()
  const releases: Release[] = []
  for (const version of versions) releases.push(await buildRelease(version, toolchain))
  return releases
}

async function buildRelease(version: string, toolchain: string): Promise<Release> {
  const mod = await readFile(join(sources, version, 'go.mod'), 'utf8')
  const [, path, release] = /^\t(\S*go-micro\S*\/v\d) v(\S+)$/m.exec(mod) ?? []
  if (path === undefined || release === undefined)
    throw new Error(`interop/go/${version}/go.mod names no go-micro`)
  const files = await filesOf(version, path)
  const hash = createHash('sha256').update(toolchain)
  for (const [name, text] of files) hash.update(`\0${name}\0${text}`)
  const folder = join(built, version)
  const [stamp, state] = [join(folder, 'stamp'), hash.digest('hex')]
  const programs = { mucp: join(folder, 'mucp'), grpc: join(folder, 'grpc') }
  if (existsSync(stamp) && (await readFile(stamp, 'utf8')) === state) return { version, release, programs }
  process.stdout.write(`building the programs of go-micro ${release}\n`)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const [, commit] = /=> \.\/go-micro \/\/ ([0-9a-f]{40})$/m.exec(mod) ?? []
  if (commit !== undefined) {
    const whyNone = await bringSources(`v${release}`, commit, join(folder, 'go-micro'))
    if (whyNone !== undefined) return { version, release, programs: { whyNone } }
  }
  for (const [name, text] of files) await writeFile(join(folder, name), text)
  try {
    await go(['mod', 'download'], folder)
  } catch (error) {
    const why = `its modules were not to be had: ${(error as Error).message.trim().split('\n').at(-1)}`
    return { version, release, programs: { whyNone: why } }
  }
  const flags = ['-buildvcs=false', '-mod=readonly', '-ldflags=-s -w']
  for (const each of protocols) await go(['build', ...flags, `-tags=${each}`, '-o', each, '.'], folder)
  await writeFile(stamp, state)
  return { version, release, programs }
}

/** The program's own files and those of the version, by name, with the version's import path. */
async function filesOf(version: string, path: string): Promise<readonly (readonly [string, string])[]> {
  const files: [string, string][] = []
  for (const folder of [join(sources, 'program'), join(sources, version)]) {
    for (const name of (await readdir(folder)).sort()) {
      const text = await readFile(join(folder, name), 'utf8')
      files.push([name, name.endsWith('.go') ? text.replaceAll(`"${written}/`, `"${path}/`) : text])
    }
  }
  return files
}

async function go(args: readonly string[], folder: string): Promise<string> {
  return (await promisify(execFile)('go', args, { cwd: folder })).stdout
}
