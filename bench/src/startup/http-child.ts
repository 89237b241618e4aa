import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { announce } from './announce.js'

// What the service is compared with: the same answer, from what Node brings.
const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const { name } = JSON.parse(Buffer.concat(chunks).toString()) as { readonly name: string }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ msg: `Hello ${name}` }))
  })
})
server.listen(0, '127.0.0.1', () => announce(`127.0.0.1:${(server.address() as AddressInfo).port}`))
