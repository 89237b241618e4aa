import { Session } from 'node:inspector'

/**
 * Collects all garbage now. The inspector can be asked for it without a flag; `--expose-gc`, set
 * while running, would make V8 refuse every code cache made before.
 */
export function collectGarbage(): Promise<void> {
  const session = new Session()
  session.connect()
  return new Promise<void>((resolve, reject) => {
    session.post('HeapProfiler.collectGarbage', (error) => (error ? reject(error) : resolve()))
  }).finally(() => session.disconnect())
}
