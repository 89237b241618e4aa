// Puts the table of plugins into README.md, made of their packages; with --check it only looks whether it
// is there.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { table } from '../bench/dist/markdown.js'

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url))
const marks = /(<!-- plugins -->\n)([^]*?)(<!-- \/plugins -->)/

const text = readFileSync(at('README.md'), 'utf8')
if (!marks.test(text)) throw new Error('README.md has no place for the table of plugins')
const rows = (await Promise.all(readdirSync(at('plugins')).sort().map(rowsOf))).flat().sort()
const filled = text.replace(
  marks,
  (_, begin, _old, end) =>
    `${begin}\n${table(['type', 'name', 'package', 'tested with'], rows).replaceAll('---:', '---')}\n\n${end}`,
)
if (process.argv[2] !== '--check') writeFileSync(at('README.md'), filled)
else if (text === filled) console.log(`${rows.length} plugins`)
else {
  console.error('README.md does not have the table of plugins; run node tools/readme-catalogue.mjs')
  process.exitCode = 1
}

async function rowsOf(folder) {
  const { name, micrograft } = JSON.parse(readFileSync(at(`plugins/${folder}/package.json`), 'utf8'))
  return Promise.all(
    micrograft.plugins.map(async (entry) => {
      const compiled = at(`plugins/${folder}/dist/${basename(entry).replace(/ts$/, 'js')}`)
      const { Plugin } = await import(pathToFileURL(compiled).href)
      return [
        `\`${Plugin.type}\``,
        `\`${Plugin.name}\``,
        `[${name}](plugins/${folder}/README.md)`,
        micrograft.testedWith ?? '',
      ]
    }),
  )
}
