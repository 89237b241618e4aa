// Which test files there are, on which Nodes each is tried, and which are begun first.

import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** What waits most of its time, for a server or for time itself; of each kind those that take longest come first. */
const waiting = [
  'packages/micrograft/dist-test/mdns-registry.',
  'packages/micrograft/dist-test/mucp-client-server.',
  'plugins/broker-rabbitmq/dist-test/rabbitmq-broker.',
  'packages/micrograft/dist-test/local-registry.',
  'plugins/registry-etcd/',
  'plugins/registry-nats/',
  'plugins/registry-redis/',
  'plugins/broker-mqtt/',
  'packages/micrograft/dist-test/memory-registry.',
  'plugins/store-postgres/dist-test/faults.',
  'plugins/store-mysql/dist-test/faults.',
  'packages/micrograft/dist-test/handler-suite.',
  'packages/micrograft/dist-test/rpc-hostile-client.',
  'packages/micrograft/dist-test/middleware-suite.',
  'plugins/grpc/dist-test/compliance.',
  'plugins/store-redis/',
  'plugins/store-nats/',
  'packages/redis-link/',
  'packages/nats-link/',
  'plugins/store-postgres/',
  'plugins/store-mysql/',
  'plugins/broker-nats/',
  'plugins/broker-redis/',
  'plugins/broker-rabbitmq/',
  'plugins/transport-nats/',
]

/** What computes for longest. */
const computing = [
  'packages/micrograft/dist-test/http-fuzz.',
  'packages/cli/dist-test/swap.',
  'packages/micrograft/dist-test/rpc-fuzz.',
  'plugins/grpc/dist-test/fuzz.',
  'packages/cli/dist-test/signing.',
  'packages/micrograft/dist-test/mucp-fuzz.',
  'examples/',
  'packages/micrograft/dist-test/swap-',
]

/** Compiled tests whose source is there: the compiler leaves what it made of one that is gone. */
export function testFiles(words) {
  const packages = ['packages', 'examples', 'plugins'].flatMap((group) =>
    list(group).map((name) => `${group}/${name}`),
  )
  return [...packages, 'bench', '.']
    .flatMap((folder) =>
      list(`${folder}/test`)
        .filter((name) => name.endsWith('.test.ts'))
        .map((name) => `${folder}/dist-test/${name.replace(/ts$/, 'js')}`),
    )
    .filter((path) => words.every((word) => path.includes(word)))
    .filter((path) => words.length > 0 || !isSoak(path))
    .sort((a, b) => rank(a) - rank(b))
}

/** What fails on purpose, or is killed, while everything is swapped at full load, and servers that stand still for long: `npm run test:load`. */
function isSoak(path) {
  return path.startsWith('./') && /swap-(failures|killed)|standing-still/.test(path)
}

function list(folder) {
  try {
    return readdirSync(root + folder).sort()
  } catch {
    return []
  }
}

/**
 * What is tried on this Node alone: plugins of servers and their links, which take long and look at no part
 * of Node that the rest does not, and what drives the whole machine. SQLite came with a later Node than the floor.
 * Of their inputs the fuzzers try a tenth on the others: see `FUZZ_SHARE` in test.mjs.
 */
export function isForEveryVersion(path) {
  return (
    !isHeavy(path) &&
    !/^packages\/(nats|redis)-link\//.test(path) &&
    (!path.startsWith('plugins/') || /sqlite|codec|grpc.*(compliance|service)/.test(path))
  )
}

/** Processes at full load, and measurements: one after another, and beside nothing else. */
export function isHeavy(path) {
  return path.startsWith('bench/') || path.startsWith('./')
}

/** Whether it waits most of its time, for a server or for time itself: it runs beside those that compute. */
export function isWaiting(path) {
  return waiting.some((each) => path.startsWith(each))
}

/** The place in the order: those that take long are begun first, so that none is left alone at the end. */
function rank(path) {
  const at = [...waiting, ...computing].findIndex((each) => path.startsWith(each))
  return at === -1 ? waiting.length + computing.length : at
}
