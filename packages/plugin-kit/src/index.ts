export { abortable } from './abortable.js'
export { requireQueue, requireTopic } from './broker-checks.js'
export { compare, mergeRecords, nodeRecords, type NodeRecord } from './node-record.js'
export { NodeWatcher } from './node-watcher.js'
export { tryEach } from './try-each.js'
export {
  afterPrefix,
  keyBytes,
  lifetime,
  requireKey,
  requireLimit,
  requireValue,
  requireTtl,
} from './store-checks.js'
