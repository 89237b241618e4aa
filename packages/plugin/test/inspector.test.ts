import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { Session } from 'node:inspector'
import { SourceMap, type SourceMapPayload } from 'node:module'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build, type BuiltPlugin } from '@micrograft/plugin/build'
import { debuggedChild, type DebuggedChild } from './support/debugged-child.js'
import { until } from './support/until.js'
import { workshop, type Workshop } from './support/workshop.js'

const source = `interface Greeting {
  readonly to: string
}

export function greet(greeting: Greeting): string {
  const name = greeting.to.toUpperCase()
  const words = ['hello', name]
  return words.join(' ')
}
`

/** The line to stop at, from 1: it has other lines before it in the output. */
const stopAt = source.split('\n').findIndex((line) => line.includes('words.join')) + 1

/** Opens the plugin files that it is told of, one a line, and greets by each. */
const host = `
import { createInterface } from 'node:readline'
import { createPlatform } from '@micrograft/plugin'
const platform = createPlatform()
const { greet } = platform.use('greeter').call
for await (const line of createInterface({ input: process.stdin })) {
  await platform.open(line)
  console.log(greet({ to: 'you' }))
}`

interface Script {
  readonly scriptId: string
  readonly url: string
  readonly sourceMapURL: string
}

interface Location {
  readonly scriptId: string
  readonly lineNumber: number
  readonly columnNumber: number
}

interface Paused {
  readonly reason: string
  readonly hitBreakpoints?: readonly string[]
  readonly callFrames: readonly {
    readonly callFrameId: string
    readonly functionName: string
    readonly location: Location
    readonly scopeChain: readonly { readonly type: string; readonly object: { readonly objectId: string } }[]
  }[]
}

interface Breakpoint {
  readonly breakpointId: string
  readonly locations: readonly Location[]
}

async function readMap(path: string): Promise<SourceMapPayload> {
  return JSON.parse(await readFile(path, 'utf8')) as SourceMapPayload
}

/** Where line `stopAt` of the source begins in the plugin file; lines and columns from 0, as the protocol has them. */
async function generatedPosition({ path, mapPath = '' }: BuiltPlugin) {
  const map = new SourceMap(await readMap(mapPath))
  const lines = (await readFile(path, 'utf8')).split('\n')
  for (const [lineNumber, text] of lines.entries())
    for (let columnNumber = 0; columnNumber < text.length; columnNumber++) {
      const entry = map.findEntry(lineNumber, columnNumber)
      if ('originalLine' in entry && entry.originalLine === stopAt - 1 && entry.generatedLine === lineNumber)
        return { lineNumber, columnNumber }
    }
  throw new Error('the map has no such line')
}

/** A host under a debugger, past its first line, which does not run yet. */
async function startHost(t: TestContext, { write }: Workshop): Promise<DebuggedChild> {
  const child = await debuggedChild(t, await write('host.mjs', host))
  await child.send('Runtime.enable')
  await child.send('Debugger.enable')
  await child.send('Runtime.runIfWaitingForDebugger')
  await child.event('Debugger.paused')
  return child
}

function parsed({ event }: DebuggedChild, path: string): Promise<Script> {
  const { href } = pathToFileURL(path)
  return event<Script>('Debugger.scriptParsed', ({ url }) => url.split('?')[0] === href)
}

async function assertStopped(
  child: DebuggedChild,
  built: BuiltPlugin,
  breakpointId: string,
): Promise<Paused> {
  const paused = await child.event<Paused>('Debugger.paused')
  assert.deepEqual(paused.hitBreakpoints, [breakpointId])
  const [frame] = paused.callFrames
  assert.equal(frame?.functionName, 'greet')
  const { lineNumber, columnNumber } = frame.location
  const entry = new SourceMap(await readMap(built.mapPath as string)).findEntry(lineNumber, columnNumber)
  assert.ok('originalLine' in entry)
  assert.equal(entry.originalLine + 1, stopAt)
  return paused
}

test('a debugger is told where the map of a plugin is, and finds its sources through it', async (t) => {
  const shop = await workshop(t)
  const built = await shop.plugin('greeter', source)
  const child = await startHost(t, shop)
  await child.send('Debugger.resume')
  child.process.stdin.end(`${built.path}\n`)
  const script = await parsed(child, built.path)
  assert.equal(fileURLToPath(script.sourceMapURL), built.mapPath)
  const { sourceRoot, sources, sourcesContent } = await readMap(built.mapPath as string)
  // As the specification of source maps resolves them: against the place of the map.
  const resolved = sources.map((each) => fileURLToPath(new URL(`${sourceRoot}${each}`, script.sourceMapURL)))
  const file = join(shop.folder, 'greeter-src/greeter.ts')
  assert.ok(resolved.includes(file), resolved.join())
  assert.equal(sourcesContent[resolved.indexOf(file)], await readFile(file, 'utf8'))
  const { scriptSource } = await child.send<{ scriptSource: string }>(
    'Debugger.getScriptSource',
    script as never,
  )
  assert.ok(scriptSource.startsWith(await readFile(built.path, 'utf8')))
})

test("a breakpoint in a plugin's TypeScript is hit, and its variables are there to read", async (t) => {
  const shop = await workshop(t)
  const built = await shop.plugin('greeter', source)
  const child = await startHost(t, shop)
  await child.send('Debugger.resume')
  child.process.stdin.write(`${built.path}\n`)
  const { url, scriptId } = await parsed(child, built.path)
  await until('it greeted', () => child.output() === 'hello YOU\n')

  const position = await generatedPosition(built)
  const { breakpointId, locations } = await child.send<Breakpoint>('Debugger.setBreakpointByUrl', {
    url,
    ...position,
  })
  assert.equal(locations[0]?.scriptId, scriptId)
  child.process.stdin.end(`${built.path}\n`)
  const { callFrames } = await assertStopped(child, built, breakpointId)

  const [frame] = callFrames
  const read = async (expression: string) => {
    const params = { callFrameId: frame?.callFrameId, expression, returnByValue: true }
    return (await child.send<{ result: { value: unknown } }>('Debugger.evaluateOnCallFrame', params)).result
      .value
  }
  assert.equal(await read('name'), 'YOU')
  assert.deepEqual(await read('words'), ['hello', 'YOU'])
  const local = frame?.scopeChain.find(({ type }) => type === 'local')
  const { result } = await child.send<{ result: { name: string }[] }>('Runtime.getProperties', {
    objectId: local?.object.objectId,
  })
  assert.deepEqual(result.map(({ name }) => name).toSorted(), ['greeting', 'name', 'words'])
  await read(`words.push('and all')`)
  await child.send('Debugger.resume')
  await until('it greeted as it was told to', () => child.output() === 'hello YOU\nhello YOU and all\n')
})

test('a breakpoint that is set before a plugin is opened is hit, and so is one in the next version', async (t) => {
  const shop = await workshop(t)
  const entry = await shop.write('src/greeter.ts', source)
  const child = await startHost(t, shop)
  await child.send('Debugger.resume')
  for (const version of ['1.0.0', '2.0.0']) {
    const built = await build(entry, { version, outDir: join(shop.folder, 'out') })
    const literal = pathToFileURL(built.path).href.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
    const urlRegex = `^${literal}(\\?|$)`
    const position = await generatedPosition(built)
    const set = await child.send<Breakpoint>('Debugger.setBreakpointByUrl', { urlRegex, ...position })
    assert.deepEqual(set.locations, [])
    child.process.stdin.write(`${built.path}\n`)
    await assertStopped(child, built, set.breakpointId)
    await child.send('Debugger.resume')
  }
  await until('both greeted', () => child.output() === 'hello YOU\nhello YOU\n')
})

test('a plugin without a map names none to a debugger', async (t) => {
  const { plugin, platform } = await workshop(t)
  const session = new Session()
  session.connect()
  t.after(() => session.disconnect())
  const scripts = new Map<string, string>()
  session.on('Debugger.scriptParsed', ({ params: { url, sourceMapURL = '' } }) =>
    scripts.set(url.split('?')[0] ?? '', sourceMapURL),
  )
  session.post('Debugger.enable')
  for (const sourceMap of [true, false]) {
    const version = sourceMap ? '1.0.0' : '2.0.0'
    const { path, mapPath } = await plugin('greeter', source, { version, sourceMap })
    await platform().open(path)
    assert.equal(
      scripts.get(pathToFileURL(path).href),
      mapPath === undefined ? '' : pathToFileURL(mapPath).href,
    )
  }
})
