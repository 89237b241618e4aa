import { join } from 'node:path'
import { freePort } from '../free-port.js'
import type { ServerKind } from '../server-process.js'

/** etcd: one member, with its JSON gateway. */
export const etcd: ServerKind = {
  name: 'etcd',
  url: 'http://127.0.0.1',
  program: 'etcd',
  async arguments({ folder, port }) {
    const client = `http://127.0.0.1:${port}`
    const peer = `http://127.0.0.1:${await freePort()}`
    return [
      '--name=only',
      `--data-dir=${join(folder, 'data')}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=only=${peer}`,
    ]
  },
  // It listens before it has a leader; a read waits for one.
  ready: ({ port }) => answersRead(`http://127.0.0.1:${port}`),
}

async function answersRead(origin: string): Promise<void> {
  const response = await fetch(`${origin}/v3/kv/range`, {
    method: 'POST',
    body: '{"key":"AA=="}',
    signal: AbortSignal.timeout(2000),
  })
  const body = await response.text()
  // With accounts turned on a read is refused, which is an answer too.
  if (!response.ok && !body.includes('user name is empty')) throw new Error(body)
}
