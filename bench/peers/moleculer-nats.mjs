import { overNats } from './moleculer.mjs'

export const { serve, connect } = overNats
