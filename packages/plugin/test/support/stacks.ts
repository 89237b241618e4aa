/** Where `text` begins in `source`, as a stack trace writes it: `line:column`, both from 1. */
export function positionOf(source: string, text: string): string {
  const at = source.indexOf(text)
  if (at < 0) throw new Error(`the source has no ${text}`)
  const lines = source.slice(0, at).split('\n')
  return `${lines.length}:${(lines.at(-1) as string).length + 1}`
}

/** The stack of what `run` throws, its lines without `at`; the first is the heading. */
export function stackOf(run: () => unknown): string[] {
  try {
    run()
  } catch (error) {
    return linesOf(error)
  }
  throw new Error('nothing was thrown')
}

/** The same of what a promise rejects with. */
export async function rejectionStackOf(promise: Promise<unknown>): Promise<string[]> {
  return linesOf(
    await promise.then(
      () => undefined,
      (error: unknown) => error,
    ),
  )
}

function linesOf(error: unknown): string[] {
  if (!(error instanceof Error)) throw new Error('what was thrown is no error')
  return (error.stack ?? '').split('\n').map((line) => line.replace(/^ +at /, ''))
}
