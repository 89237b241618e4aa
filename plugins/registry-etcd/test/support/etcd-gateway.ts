import type { TestServer } from '@micrograft/test-support'

/** etcd, asked by the tests themselves. */
export interface EtcdGateway {
  call(path: string, body: unknown, token?: string): Promise<Record<string, unknown>>
  put(key: string, value: string): Promise<void>
  get(key: string): Promise<string | undefined>
  delete(key: string): Promise<void>
  leaseOf(key: string): Promise<string>
  /** How many there are. */
  leases(): Promise<number>
  /** Forgets all that was before now. */
  compact(): Promise<void>
}

interface Found {
  readonly header: { readonly revision: string }
  readonly kvs?: { readonly value?: string; readonly lease?: string }[]
}

export async function etcdGateway({ host, port, user, password }: TestServer): Promise<EtcdGateway> {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  let ours: string | undefined
  const call = async (path: string, body: unknown, token = ours) => {
    const response = await fetch(`http://${host}:${port}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: token === undefined ? {} : { authorization: token },
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${path}: ${text}`)
    return JSON.parse(text) as Record<string, unknown>
  }
  const find = async (key: string) => (await call('/v3/kv/range', { key: base64(key) })) as unknown as Found
  if (user !== undefined)
    ours = (await call('/v3/auth/authenticate', { name: user, password }))['token'] as string
  return {
    call,
    async put(key, value) {
      await call('/v3/kv/put', { key: base64(key), value: base64(value) })
    },
    async get(key) {
      const [found] = (await find(key)).kvs ?? []
      return found && Buffer.from(found.value ?? '', 'base64').toString()
    },
    async delete(key) {
      await call('/v3/kv/deleterange', { key: base64(key) })
    },
    async leaseOf(key) {
      return (await find(key)).kvs?.[0]?.lease ?? '0'
    },
    async leases() {
      return ((await call('/v3/lease/leases', {}))['leases'] as unknown[] | undefined)?.length ?? 0
    },
    async compact() {
      await call('/v3/kv/compaction', { revision: (await find('none')).header.revision, physical: true })
    },
  }
}
