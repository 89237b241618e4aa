// A reporter of node:test for test-process.mjs, which counts: one line of JSON for each test that has ended.

export default async function* (events) {
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    const { name, skip, todo, details } = data
    const skipped = skip ?? todo
    if (details?.type === 'suite' && skipped === undefined) continue
    yield `${JSON.stringify({ name, skip: skipped, passed: type === 'test:pass' })}\n`
  }
}
