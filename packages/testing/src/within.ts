/** What `promise` gives, or `undefined` where it takes longer than `ms`; no timer is left behind. */
export async function soon<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), ms)))
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** What `promise` gives. @throws with `what` where it takes longer than `ms`. */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  const settled = await soon(
    ms,
    promise.then((value) => ({ value })),
  )
  if (!settled) throw new Error(`not within ${ms} ms: ${what}`)
  return settled.value
}
