import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { transform } from 'esbuild'
import { workshop } from './support/workshop.js'

const run = promisify(execFile)
const readme = await readFile(fileURLToPath(new URL('../README.md', import.meta.url)), 'utf8')
const blocks = [...readme.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, block]) => block as string)

/** A block that begins with a file's name is that file; the others are programs. */
const files = new Map(blocks.map((block) => [/^\/\/ (\S+\.ts)\n/.exec(block)?.[1], block] as const))
files.delete(undefined)
const programs = blocks.filter((block) => ![...files.values()].includes(block))

/** A folder with the files of the README and the host package that it speaks of. */
async function project(t: TestContext) {
  const { folder, write } = await workshop(t)
  const sdk = 'app/node_modules/acme-sdk'
  await write(
    `${sdk}/package.json`,
    JSON.stringify({ name: 'acme-sdk', version: '1.4.0', type: 'module', exports: './index.js' }),
  )
  await write(`${sdk}/index.js`, 'export class Order { constructor(name) { this.name = name } }')
  await write(
    `${sdk}/index.d.ts`,
    'export declare class Order { readonly name: string; constructor(name: string) }',
  )
  await write('app/package.json', JSON.stringify({ name: 'app', version: '1.0.0', type: 'module' }))
  for (const [name, content] of files) await write(`app/${name}`, content)
  return { app: join(folder, 'app'), write }
}

/** What a program says that it prints: the comment after each `console.log`. */
function promised(program: string): string[] {
  return [...program.matchAll(/^ *console\.log\(.*\) \/\/ (.*)$/gm)].map(([, text]) => text as string)
}

test('every program of the README prints what it says, one after another', async (t) => {
  const { app, write } = await project(t)
  assert.equal(programs.length, 7)
  for (const [i, program] of programs.entries()) {
    const { code } = await transform(program, { loader: 'ts', format: 'esm', target: 'node20' })
    const file = await write(`app/program-${i}.mjs`, code)
    const { stdout, stderr } = await run(process.execPath, [file], { cwd: app })
    assert.deepEqual(stdout.trimEnd().split('\n'), promised(program), program)
    assert.equal(stderr, '', program)
  }
})

test('every example of the README type-checks', async (t) => {
  const { app, write } = await project(t)
  for (const [i, program] of programs.entries()) await write(`app/program-${i}.ts`, program)
  const compilerOptions = {
    target: 'ES2022',
    module: 'NodeNext',
    strict: true,
    noEmit: true,
    types: ['node'],
    noUnusedLocals: true,
  }
  await write('app/tsconfig.json', JSON.stringify({ compilerOptions, include: ['*.ts'] }))
  const compiler = join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc')
  await run(process.execPath, [compiler, '-p', app]).catch(({ stdout }: { stdout: string }) =>
    assert.fail(stdout),
  )
})
