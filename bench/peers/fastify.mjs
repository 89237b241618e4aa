// Fastify with schemas, which it compiles for reading and writing, and undici with its own pool.

import Fastify from 'fastify'
import { Pool } from 'undici'

const item = {
  type: 'object',
  properties: {
    id: { type: 'integer' },
    name: { type: 'string' },
    price: { type: 'number' },
    text: { type: 'string' },
  },
}
const payload = {
  type: 'object',
  required: ['n', 'name', 'text'],
  properties: {
    n: { type: 'integer' },
    name: { type: 'string' },
    text: { type: 'string' },
    items: { type: 'array', items: item },
  },
}

export async function serve() {
  const app = Fastify()
  app.post('/echo', { schema: { body: payload, response: { 200: payload } } }, async ({ body }) => body)
  await app.listen({ port: 0, host: '127.0.0.1' })
  return `127.0.0.1:${app.server.address().port}`
}

export async function connect(address) {
  // More connections than this make it slower here, at 256 in flight as well.
  const pool = new Pool(`http://${address}`, { connections: 64 })
  const headers = { 'content-type': 'application/json' }
  return {
    async call(value) {
      const { statusCode, body } = await pool.request({
        path: '/echo',
        method: 'POST',
        headers,
        body: JSON.stringify(value),
      })
      const text = await body.json()
      if (statusCode !== 200) throw new Error(`status ${statusCode}: ${JSON.stringify(text)}`)
      return text
    },
  }
}
