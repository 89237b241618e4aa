// Builds the plugin files of the packages in plugins/, each where it is older than what it is made of, to
// plugins/<package>/dist/<type>-<name>.plugin.cjs. Those of the box go beside the framework as well.

import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const box = join(root, 'packages/micrograft/dist/box')
/** Packages whose plugins come with the framework. */
const boxed = new Set(['grpc'])

export async function buildPluginFiles() {
  const { build } = await import(pathToFileURL(join(root, 'packages/plugin/dist/build/index.js')).href)
  for (const folder of readdirSync(join(root, 'plugins'))) {
    const place = join(root, 'plugins', folder)
    const { micrograft, dependencies = {} } = JSON.parse(readFileSync(join(place, 'package.json'), 'utf8'))
    const madeOf = [place, ...librariesOf(dependencies)].map((each) => join(each, 'dist'))
    for (const entry of micrograft.plugins) {
      const compiled = join(place, 'dist', basename(entry).replace(/ts$/, 'js'))
      const { Plugin } = await import(pathToFileURL(compiled).href)
      const { name, type, version } = Plugin
      const outFile = join(place, 'dist', `${type}-${name}.plugin.cjs`)
      // Of two types under one name, such as `nats`, a host opens both: what they are known by must differ.
      if (isOld(outFile, madeOf))
        await build(join(place, entry), { name: `${type}-${name}`, type, version, outFile })
      if (boxed.has(folder)) copy(outFile)
    }
  }
}

/** Packages of this checkout that are bundled into the file. */
function librariesOf(dependencies) {
  const own = Object.keys(dependencies).filter((name) => name.startsWith('@micrograft/'))
  return own.map((name) => join(root, 'packages', name.slice('@micrograft/'.length)))
}

function isOld(path, folders) {
  if (!existsSync(path)) return true
  const made = statSync(path).mtimeMs
  if (statSync(fileURLToPath(import.meta.url)).mtimeMs > made) return true
  return folders.some((folder) =>
    readdirSync(folder).some((name) => name.endsWith('.js') && statSync(join(folder, name)).mtimeMs > made),
  )
}

function copy(path) {
  mkdirSync(box, { recursive: true })
  for (const each of [path, `${path}.map`]) {
    const to = join(box, basename(each))
    if (existsSync(each) && (!existsSync(to) || statSync(to).mtimeMs < statSync(each).mtimeMs))
      copyFileSync(each, to)
  }
}
