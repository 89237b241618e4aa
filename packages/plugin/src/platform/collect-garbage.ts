/**
 * Collects all garbage now. The inspector can be asked for it without a flag; `--expose-gc`, set
 * while running, would make V8 refuse every code cache made before.
 */
export async function collectGarbage(): Promise<void> {
  // Few hosts ask for it, and loading it takes time.
  const { Session } = await import('node:inspector')
  const session = new Session()
  session.connect()
  await new Promise<void>((resolve, reject) => {
    session.post('HeapProfiler.collectGarbage', (error) => (error ? reject(error) : resolve()))
  }).finally(() => session.disconnect())
}
