// Runs one test file in a process of its own; what it printed and which tests it had.

import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
/** A file that takes longer hangs. */
const timeoutMs = 300_000

/** @param place Where the process may write: files of that name with an ending of their own. */
export async function runFile(binary, file, place, env) {
  const [shown, record] = [`${place}.txt`, `${place}.jsonl`]
  const args = [
    '--expose-gc',
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=./tools/test-record.mjs',
    `--test-reporter-destination=${record}`,
    file,
  ]
  const started = performance.now()
  // To a file: what a test leaves running may keep a pipe open for longer than the test lives.
  const output = openSync(shown, 'w')
  const child = spawn(binary, args, {
    cwd: root,
    stdio: ['ignore', output, output],
    env: { ...process.env, NODE_OPTIONS: '', ...env },
  })
  closeSync(output)
  let hangs = false
  const timer = setTimeout(() => {
    hangs = true
    child.kill('SIGKILL')
  }, timeoutMs)
  const ended = await new Promise((resolve) => {
    child.on('error', resolve)
    child.on('exit', (status, signal) => resolve(status ?? signal))
  })
  clearTimeout(timer)
  const tests = existsSync(record)
    ? readFileSync(record, 'utf8').split('\n').filter(Boolean).map(JSON.parse)
    : []
  const text = readFileSync(shown, 'utf8')
  for (const each of [shown, record]) rmSync(each, { force: true })
  const problems = []
  if (hangs) problems.push(`${file} was ended after ${timeoutMs / 1000} s`)
  else if (ended !== 0 && tests.every(({ passed }) => passed))
    problems.push(`the process of ${file} ended with ${ended}`)
  if (tests.length === 0) problems.push(`no test in ${file}`)
  const seconds = (performance.now() - started) / 1000
  return { file, tests, text, seconds, problems, passed: ended === 0 && problems.length === 0 }
}
