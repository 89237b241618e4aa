/** `iterable`, telling when it was read to its end, has failed, or was left. */
export function untilRead<T>(iterable: AsyncIterable<T>, ended: () => void): AsyncIterable<T> {
  return { [Symbol.asyncIterator]: () => watched(iterable[Symbol.asyncIterator](), ended) }
}

function watched<T>(inner: AsyncIterator<T>, ended: () => void): AsyncIterator<T> {
  const see = (result: IteratorResult<T>) => {
    if (result.done) ended()
    return result
  }
  const fail = (error: unknown): never => {
    ended()
    throw error
  }
  return {
    next: () => inner.next().then(see, fail),
    return: async (value?: unknown) => {
      try {
        return (await inner.return?.(value)) ?? { value: undefined, done: true }
      } finally {
        ended()
      }
    },
  }
}
