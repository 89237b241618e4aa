import { ServiceError } from '@micrograft/contracts'

/** The part of `node:sqlite` that is used; types of Node 20 know nothing of it. */
export interface Database {
  exec(sql: string): void
  prepare(sql: string): Statement
  close(): void
}

export interface Statement {
  get(...values: readonly unknown[]): Readonly<Record<string, unknown>> | undefined
  all(...values: readonly unknown[]): readonly Readonly<Record<string, unknown>>[]
  run(...values: readonly unknown[]): { readonly changes: number | bigint }
}

interface NodeSqlite {
  readonly DatabaseSync: new (path: string) => Database
}

/**
 * Asked for when a store is made, and not imported: what imports it could neither be built nor loaded
 * on a Node without it.
 *
 * @throws `unsupported` there.
 */
export function nodeSqlite(): NodeSqlite {
  const found = process.getBuiltinModule?.('node:sqlite') as NodeSqlite | undefined
  if (found) return found
  throw new ServiceError(
    'unsupported',
    `the sqlite store needs node:sqlite, which Node ${process.versions.node} does not have; run it on Node 22.13 or later`,
  )
}
