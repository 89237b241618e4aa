import type { Adapter } from './adapter.js'
import { netAdapter } from './net.js'

const adapter = netAdapter('plain')

export const serve: Adapter['serve'] = adapter.serve
export const connect: Adapter['connect'] = adapter.connect
