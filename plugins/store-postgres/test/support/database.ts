import { randomUUID } from 'node:crypto'
import type { TestServer } from '@micrograft/test-support'
import { Client } from 'pg'

export interface Database extends AsyncDisposable {
  readonly address: string
}

/** A database of its own on a server that others may use too; gone when it is disposed. */
export async function freshDatabase({ address }: TestServer): Promise<Database> {
  const name = `test_${randomUUID().replaceAll('-', '')}`
  const ask = async (sql: string) => {
    const client = new Client({ connectionString: address })
    await client.connect()
    await client.query(sql)
    await client.end()
  }
  await ask(`CREATE DATABASE ${name}`)
  const url = new URL(address)
  url.pathname = `/${name}`
  return { address: url.href, [Symbol.asyncDispose]: () => ask(`DROP DATABASE ${name} WITH (FORCE)`) }
}
