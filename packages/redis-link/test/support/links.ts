import { resolveOptions } from '@micrograft/contracts'
import {
  asText,
  redisDefaults,
  redisEndpoints,
  RedisLink,
  type RedisOptions,
  type RunOptions,
} from '@micrograft/redis-link'
import { componentContext } from '@micrograft/testing'

/** As a plugin opens its link. */
export async function openLink(
  options: RedisOptions,
  signal: AbortSignal = new AbortController().signal,
): Promise<RedisLink> {
  const what = 'the link of the test'
  const settings = resolveOptions(what, redisDefaults, options)
  const { log } = componentContext()
  return RedisLink.open({ ...settings, what, endpoints: redisEndpoints(what, settings), log }, signal)
}

/** Runs one command. */
export function ask(link: RedisLink, args: readonly string[], options: RunOptions = {}): Promise<unknown> {
  return link.run((client) => client.sendCommand(args, asText), options)
}

/** The code that a call fails with, or `none`. */
export function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'none',
    ({ code }: { code: string }) => code,
  )
}
