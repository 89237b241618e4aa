import { ServiceError } from '@micrograft/contracts'
import { Generation, type Candidate } from './generation.js'
import type { Keeper } from './keeper.js'
import type { ResolvedSwapOptions } from './swap-options.js'
import { within } from './within.js'

/** Makes a component, unless `signal` gives that up, and all that lasts on it. Where it rejects, nothing of either is left. */
export async function prepare<T>(
  candidate: Candidate<T>,
  keeper: Keeper<T>,
  options: ResolvedSwapOptions,
  signal: AbortSignal,
): Promise<Generation<T>> {
  const next = new Generation(candidate, await candidate.make(signal))
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
 * Lets what is under way on a component end, until the deadline or until `cut` is aborted, and disposes
 * it. It does not reject: what fails then has no effect on the component that took over. Nor does it wait
 * for what never ends.
 */
export async function retire<T>(
  generation: Generation<T>,
  keeper: Keeper<T>,
  drainMs: number,
  cut?: AbortSignal,
): Promise<Retirement> {
  const { label, closeMs } = generation
  const deadline = performance.now() + drainMs
  let error: Error | undefined
  const keep = (thrown: unknown) => (error ??= thrown as Error)
  if (keeper.release) {
    const late = () => new ServiceError('timeout', `what lasts on ${label} did not end in time`)
    await within(drainMs + closeMs, keeper.release(generation, drainMs), late, cut).catch(keep)
  }
  const drained = await generation.idle(Math.max(0, deadline - performance.now()), cut)
  await generation.release().catch(keep)
  return { drained, error }
}
