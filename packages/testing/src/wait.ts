/** Waits until `condition` holds, looking again every few milliseconds. @throws with `what` after `timeoutMs`. */
export async function until(what: string, condition: () => unknown, timeoutMs = 5000): Promise<void> {
  const end = Date.now() + timeoutMs
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`after ${timeoutMs} ms still not: ${what}`)
    await pause(5)
  }
}

/** Waits for time itself to pass, where that is what is tested. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Asserts that `promise` is not settled yet after the current turn of the event loop and a few more. */
export async function stillPending(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  promise.then(
    () => (settled = true),
    () => (settled = true),
  )
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setTimeout(resolve, 1))
  return !settled
}
