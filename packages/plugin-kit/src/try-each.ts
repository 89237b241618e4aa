/**
 * What `work` gives at the first of several servers that does not fail in a way that another may not.
 *
 * @param servers How many there are; `work` goes on to the next by itself where it fails.
 * @throws what it failed with at the last
 */
export async function tryEach<T>(
  servers: number,
  work: () => Promise<T>,
  isElsewhere: (error: unknown) => boolean,
): Promise<T> {
  for (let left = servers; ; left--) {
    try {
      return await work()
    } catch (error) {
      if (left <= 1 || !isElsewhere(error)) throw error
    }
  }
}
