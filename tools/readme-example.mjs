// Runs the example of README.md: writes the files of its blocks, which begin with a comment that names
// them, types its commands, and holds what they print against the block that follows.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { blocksOf } from './markdown.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const blocks = blocksOf(readFileSync(join(root, 'README.md'), 'utf8'))
const fileName = ({ code }) => /^\/\/ (\S+\.\w+)\n/.exec(code)?.[1]
const files = new Map(blocks.filter(fileName).map((block) => [fileName(block), block.code]))

const folder = mkdtempSync(join(tmpdir(), 'micrograft-readme-'))
let ran = 0
try {
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction')
  for (const [name, code] of files) writeFileSync(join(folder, name), code)
  for (const [i, { language, code, line }] of blocks.entries()) {
    const [program, script] = code.trim().split(' ')
    if (language === 'sh' && program === 'node' && files.has(script))
      runAndCompare(script, blocks[i + 1], line)
  }
} finally {
  rmSync(folder, { recursive: true })
}
if (ran === 0) fail('README.md has no example that runs')
if (process.exitCode === undefined) console.log(`the example of README.md prints what it says`)

function runAndCompare(script, expected, line) {
  ran++
  if (expected?.language !== 'text') return fail(`README.md:${line}: no block says what ${script} prints`)
  const printed = execFileSync(process.execPath, [script], { cwd: folder, encoding: 'utf8', timeout: 60_000 })
  if (printed !== expected.code)
    fail(`README.md:${line}: ${script} prints\n${printed}and README.md says\n${expected.code}`)
}

function fail(message) {
  console.error(message)
  process.exitCode = 1
}
