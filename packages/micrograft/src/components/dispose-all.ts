/** Disposes all, one after another, and throws what went wrong after all were. */
export async function disposeAll(what: string, all: Iterable<AsyncDisposable>): Promise<void> {
  const errors: Error[] = []
  for (const each of all) {
    try {
      await each[Symbol.asyncDispose]()
    } catch (error) {
      errors.push(error as Error)
    }
  }
  if (errors.length > 0)
    throw new AggregateError(
      errors,
      `${errors.length} ${what} failed to close: ${errors.map(({ message }) => message).join('; ')}`,
    )
}
