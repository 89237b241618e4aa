import { connectOver } from './connect-over.mjs'

export const { serve, connect } = connectOver('1.1')
