import { Generation, type Candidate } from './generation.js'
import type { Keeper } from './keeper.js'
import type { ResolvedSwapOptions } from './swap-options.js'

/** Makes a component and all that lasts on it. Where it rejects, nothing of either is left. */
export async function prepare<T>(
  candidate: Candidate<T>,
  keeper: Keeper<T>,
  options: ResolvedSwapOptions,
): Promise<Generation<T>> {
  const next = new Generation(candidate, await candidate.make())
  try {
    await keeper.prepare?.(next, options)
    return next
  } catch (error) {
    await next.release().catch(() => undefined)
    throw error
  }
}

/** How the end of a component went. */
export interface Retirement {
  /** Whether everything on it had ended before it was disposed. */
  readonly drained: boolean
  readonly error: Error | undefined
}

/**
 * Lets what is under way on a component end, until the deadline, and disposes it. It does not reject:
 * what fails then has no effect on the component that took over.
 */
export async function retire<T>(
  generation: Generation<T>,
  keeper: Keeper<T>,
  drainMs: number,
): Promise<Retirement> {
  const deadline = performance.now() + drainMs
  let error: Error | undefined
  const keep = (thrown: unknown) => (error ??= thrown as Error)
  await keeper.release?.(generation, drainMs).catch(keep)
  const drained = await generation.idle(Math.max(0, deadline - performance.now()))
  await generation.release().catch(keep)
  return { drained, error }
}
