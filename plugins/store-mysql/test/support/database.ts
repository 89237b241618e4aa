import { randomUUID } from 'node:crypto'
import type { TestServer } from '@micrograft/test-support'
import { createConnection } from 'mysql2/promise'

export interface Database extends AsyncDisposable {
  readonly address: string
}

/** A database of its own on a server that others may use too; gone when it is disposed. */
export async function freshDatabase({ address }: TestServer): Promise<Database> {
  const name = `test_${randomUUID().replaceAll('-', '')}`
  const ask = async (sql: string) => {
    const connection = await createConnection(address)
    await connection.query(sql)
    await connection.end()
  }
  await ask(`CREATE DATABASE ${name}`)
  const url = new URL(address)
  url.pathname = `/${name}`
  return { address: url.href, [Symbol.asyncDispose]: () => ask(`DROP DATABASE ${name}`) }
}
