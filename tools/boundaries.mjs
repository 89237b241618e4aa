// Tries the import rules of .oxlintrc.json: plants files with one import each in an empty copy of the
// workspace, and expects the linter to refuse those that are forbidden and no others.

import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

const ownFiles = [
  `import x from './other.js'`,
  `import x from './deeper/other.js'`,
  `import type { X } from './other.js'`,
]
/** What no package may do, whatever else it may import. */
const paths = [
  `import x from '../../neighbour/src/index.js'`,
  `import x from '../../neighbour/dist/errors.js'`,
  `import type { X } from '../../neighbour/dist/errors.js'`,
  `import x from '../../../plugins/store-redis/src/redis-store.js'`,
  `import x from '../../neighbour/bin/command.js'`,
  `import x from '../test/support/workshop.js'`,
  `import x from '../../../node_modules/zod/v4.js'`,
  `import x from '/opt/neighbour.js'`,
  `import x from '.'`,
  `import x from './index.js'`,
  `import x from '../index.js'`,
  `import x from 'fs'`,
  `import x from 'fs/promises'`,
]
const libraries = [
  `import x from 'zod'`,
  `import x from '@acme/sdk'`,
  `import x from '@acme/sdk/errors'`,
  `import type { X } from 'zod'`,
  `import { type X } from '@acme/sdk'`,
  `import 'zod'`,
  `export * from 'zod'`,
  `export type { X } from '@acme/sdk'`,
  `export const x = await import('zod')`,
  `export type X = import('zod').X`,
  `import x from '#inside'`,
]
const node = [
  `import x from 'node:fs'`,
  `import x from 'node:fs/promises'`,
  `import type { X } from 'node:fs'`,
]
const assert = [`import x from 'node:assert'`, `import x from 'node:assert/strict'`]
const esbuild = [`import x from 'esbuild'`, `import type { X } from 'esbuild'`]
const contracts = [`import x from '@micrograft/contracts'`, `import type { X } from '@micrograft/contracts'`]
const plugin = [`import x from '@micrograft/plugin'`, `import x from '@micrograft/plugin/build'`]
const kit = [`import x from '@micrograft/plugin-kit'`, `import type { X } from '@micrograft/plugin-kit'`]
const natsLink = [`import x from '@micrograft/nats-link'`, `import type { X } from '@micrograft/nats-link'`]
const redisLink = [
  `import x from '@micrograft/redis-link'`,
  `import type { X } from '@micrograft/redis-link'`,
]
const links = [...natsLink, ...redisLink]
const framework = [`import x from 'micrograft'`, `import type { X } from 'micrograft'`]
const testing = [`import x from '@micrograft/testing'`]
const cli = [`import x from '@micrograft/cli'`]
/** Another plugin, and the inside of a package that may itself be imported. */
const never = [
  `import x from '@micrograft/broker-nats'`,
  `import x from '@micrograft/plugin/dist/errors.js'`,
  `import x from '@micrograft/contracts/src/errors.js'`,
  `import x from '@micrograft/plugin-kit/src/store-checks.js'`,
  `import x from '@micrograft/nats-link/dist/outbox.js'`,
]

/** The table of ARCHITECTURE.md, row by row. */
const rows = {
  'packages/contracts/src': {
    may: ownFiles,
    mayNot: [libraries, node, esbuild, plugin, kit, links, framework, testing, cli],
  },
  'packages/plugin/src': {
    may: [ownFiles, node],
    mayNot: [libraries, esbuild, contracts, kit, links, framework, testing, cli],
  },
  'packages/plugin/src/build': {
    may: [ownFiles, node, esbuild, `import x from '../errors.js'`],
    mayNot: [libraries, contracts, kit, links, framework, testing, cli],
  },
  'packages/micrograft/src': {
    may: [ownFiles, node, contracts, plugin, kit],
    mayNot: [libraries, esbuild, links, testing, cli],
  },
  'packages/testing/src': {
    may: [ownFiles, assert, contracts],
    mayNot: [libraries, node, esbuild, plugin, kit, links, framework, cli],
  },
  'packages/plugin-kit/src': {
    may: [ownFiles, contracts],
    mayNot: [libraries, node, esbuild, plugin, links, framework, testing, cli],
  },
  'packages/nats-link/src': {
    may: [ownFiles, node, contracts, `import x from '@nats-io/transport-node'`],
    mayNot: [libraries, esbuild, plugin, kit, redisLink, framework, testing, cli, `import x from 'redis'`],
  },
  'packages/redis-link/src': {
    may: [ownFiles, node, contracts, `import x from 'redis'`],
    mayNot: [
      libraries,
      esbuild,
      plugin,
      kit,
      natsLink,
      framework,
      testing,
      cli,
      `import x from '@nats-io/transport-node'`,
    ],
  },
  'packages/cli/src': {
    may: [ownFiles, node, contracts, plugin, framework, `import x from 'commander'`],
    mayNot: [libraries, esbuild, kit, links, testing],
  },
  'plugins/store-redis/src': {
    may: [
      ownFiles,
      node,
      contracts,
      kit,
      redisLink,
      `import x from 'redis'`,
      `import x from '@redis/client'`,
    ],
    mayNot: [plugin, natsLink, framework, testing, cli],
  },
  'plugins/broker-nats/src': {
    may: [ownFiles, node, contracts, kit, natsLink, `import x from '@nats-io/jetstream'`],
    mayNot: [plugin, redisLink, framework, testing, cli],
  },
  'plugins/store-sqlite/src': {
    may: [ownFiles, node, contracts, kit, `import x from 'sqlite'`],
    mayNot: [plugin, links, framework, testing, cli],
  },
}

/** Files that import each other: in earnest, which is refused, and for their types alone, which is not. */
const circles = {
  'circle-a.ts': `import { b } from './circle-b.js'\nexport const a = () => b`,
  'circle-b.ts': `import { a } from './circle-a.js'\nexport const b = () => a`,
}
const typeCircles = {
  'types-a.ts': `import type { B } from './types-b.js'\nexport interface A { b: B }`,
  'types-b.ts': `import type { A } from './types-a.js'\nexport interface B { a: A }`,
}

const boundaryRules = new Set([
  'eslint(no-restricted-imports)',
  'import(no-cycle)',
  'typescript(consistent-type-imports)',
  'unicorn(prefer-node-protocol)',
])

const copy = mkdtempSync(join(tmpdir(), 'micrograft-boundaries-'))
try {
  cpSync(join(root, '.oxlintrc.json'), join(copy, '.oxlintrc.json'))
  const planted = plant()
  const { refused, fileCount } = lint()
  if (fileCount !== planted.size) {
    throw new Error(`the linter read ${fileCount} of ${planted.size} planted files, so it says nothing`)
  }
  const wrong = [...planted].filter(([path, { forbidden }]) => forbidden !== refused.has(path))
  for (const [path, { forbidden, source }] of wrong) {
    const folder = dirname(path)
    console.error(`${folder} ${forbidden ? 'can write but must not' : 'must be able to write'}: ${source}`)
  }
  if (wrong.length > 0) process.exitCode = 1
  else console.log(`${refused.size} forbidden imports refused, ${planted.size - refused.size} others taken`)
} finally {
  rmSync(copy, { recursive: true })
}

/** Writes every file; what was written, and whether it is forbidden, by path. */
function plant() {
  const planted = new Map()
  const write = (path, source, forbidden) => {
    mkdirSync(dirname(join(copy, path)), { recursive: true })
    writeFileSync(join(copy, path), `${source}\n`)
    planted.set(path, { source, forbidden })
  }
  for (const [folder, { may, mayNot }] of Object.entries(rows)) {
    const allowed = [may].flat(2)
    const forbidden = [paths, never, mayNot].flat(2)
    allowed.forEach((source, i) => write(`${folder}/allowed-${i}.ts`, source, false))
    forbidden.forEach((source, i) => write(`${folder}/forbidden-${i}.ts`, source, true))
    for (const [name, source] of Object.entries(circles)) write(`${folder}/${name}`, source, true)
    for (const [name, source] of Object.entries(typeCircles)) write(`${folder}/${name}`, source, false)
  }
  return planted
}

/** The paths that a boundary rule complains of, and how many files the linter has read. */
function lint() {
  const oxlint = join(root, 'node_modules', '.bin', process.platform === 'win32' ? 'oxlint.cmd' : 'oxlint')
  const { stdout, stderr, error } = spawnSync(oxlint, ['--format=json'], {
    cwd: copy,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    shell: process.platform === 'win32',
  })
  if (error) throw error
  if (!stdout.startsWith('{')) throw new Error(`the linter failed: ${stdout}${stderr}`)
  const { diagnostics, number_of_files: fileCount } = JSON.parse(stdout)
  const complaints = diagnostics.filter(({ code }) => boundaryRules.has(code))
  return { refused: new Set(complaints.map(({ filename }) => filename.replaceAll('\\', '/'))), fileCount }
}
