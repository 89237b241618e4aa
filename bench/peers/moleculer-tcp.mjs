import { overTcp } from './moleculer.mjs'

export const { serve, connect } = overTcp
