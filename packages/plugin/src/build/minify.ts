import type * as Esbuild from 'esbuild'
import { readMap, type Chunk } from './chunk.js'

/** Takes comments and spaces out. Names stay: to give a function its own back costs a call whenever it is made. */
export async function minified({ code, map }: Chunk, esbuild: typeof Esbuild): Promise<Chunk> {
  const inline =
    map &&
    `\n//# sourceMappingURL=data:application/json;base64,${Buffer.from(JSON.stringify(map)).toString('base64')}`
  const result = await esbuild.transform(code + (inline ?? ''), {
    loader: 'js',
    minifyWhitespace: true,
    // A single line of a whole bundle is more than editors and debuggers take.
    lineLimit: 500,
    sourcemap: map ? 'external' : false,
    logLevel: 'silent',
  })
  return { code: result.code, map: map && readMap(result.map) }
}
