/** One thing that a contract promises. */
export interface Case<T> {
  /** States the promise in the present tense; a skip names the case by it. */
  readonly name: string
  /** Rejects where the promise is not kept. It gets a subject of its own, which is disposed for it. */
  run(subject: T): Promise<void>
}

export interface ComplyOptions<T> {
  /** Makes a fresh subject. */
  readonly create: () => T | Promise<T>
  /** Cases that the implementation does not keep, by name, each with the reason that its README gives. */
  readonly skip?: Readonly<Record<string, string>> | undefined
}

/** The part of `test` of `node:test` that is used; vitest's fits it. */
export type TestFunction = (
  name: string,
  options: { readonly skip?: string | false },
  run: () => Promise<void>,
) => unknown

/**
 * Registers one test for each case.
 *
 * @param label Comes before each case's name, e.g. `memory store`.
 * @throws where a skip names no case: a promise that has changed its name must not be skipped for ever.
 */
export function comply<T extends Partial<AsyncDisposable>>(
  test: TestFunction,
  label: string,
  cases: readonly Case<T>[],
  { create, skip = {} }: ComplyOptions<T>,
): void {
  const unknown = Object.keys(skip).filter((name) => !cases.some((each) => each.name === name))
  if (unknown.length > 0) throw new Error(`${label} skips what is no case: ${unknown.join(', ')}`)
  for (const { name, run } of cases) {
    test(`${label}: ${name}`, { skip: skip[name] ?? false }, async () => {
      const subject = await create()
      try {
        await run(subject)
      } finally {
        await subject[Symbol.asyncDispose]?.()
      }
    })
  }
}
