import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from '@micrograft/plugin/build'
import { build as bundle } from 'esbuild'
import { pluginStamper, stamper } from './stamp.js'

export type SampleName = 'small' | 'postgres' | 'ajv' | 'large'

/** Real code of several sizes, each used by `exercise()` as its users would. */
const sampleSources: Readonly<Record<SampleName, { readonly about: string; readonly minify: boolean }>> = {
  small: { about: 'ajv’s templates of code; minified', minify: true },
  postgres: { about: 'pg', minify: false },
  ajv: { about: 'ajv, which compiles no schema while it loads; minified', minify: true },
  large: { about: 'zod, protobufjs/minimal and semver', minify: false },
}

/** A fixture in every form in which it is loaded. */
export interface Sample {
  readonly name: SampleName
  readonly about: string
  readonly bytes: number
  /** The plugin file, to be stamped. */
  readonly plugin: Buffer
  /** The same source as an ES module, to be stamped. */
  readonly module: Buffer
}

export function fixture(name: string): string {
  return fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url))
}

export async function makeSample(name: SampleName, folder: string): Promise<Sample> {
  const { about, minify } = sampleSources[name]
  const entry = fixture(`${name}.ts`)
  const { path, bytes } = await build(entry, { outDir: folder, version: '1.0.0', minify })
  const { outputFiles } = await bundle({
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node20.19',
    format: 'esm',
    minifyWhitespace: minify,
    ...(minify ? { lineLimit: 500 } : {}),
    // CommonJS code in an ES module has no require of its own; this is the usual remedy.
    banner: {
      js: `import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)`,
    },
    logLevel: 'error',
  })
  return {
    name,
    about,
    bytes,
    plugin: await readFile(path),
    module: Buffer.from(outputFiles[0]?.contents ?? []),
  }
}

/** Files with the same code and distinct stamps. */
export interface SampleFiles {
  readonly plugins: readonly string[]
  readonly modules: readonly string[]
}

export async function writeSample(sample: Sample, count: number, folder: string): Promise<SampleFiles> {
  const own = join(folder, sample.name)
  const plugin = pluginStamper(sample.plugin)
  const module = stamper(sample.module)
  await mkdir(own, { recursive: true })
  const plugins: string[] = []
  const modules: string[] = []
  for (let n = 1; n <= count; n++) {
    plugins.push(join(own, `${n}.plugin.cjs`))
    modules.push(join(own, `${n}.mjs`))
    await writeFile(join(own, `${n}.plugin.cjs`), plugin(n))
    await writeFile(join(own, `${n}.mjs`), module(n))
  }
  return { plugins, modules }
}
