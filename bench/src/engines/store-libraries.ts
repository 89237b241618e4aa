import { Kvm } from '@nats-io/kv'
import { connect as connectNats } from '@nats-io/transport-node'
import { createPool, type RowDataPacket } from 'mysql2/promise'
import { Pool } from 'pg'
import { createClient, RESP_TYPES } from 'redis'

/** One way of keeping entries. */
export interface StoreSide {
  get(key: string): Promise<Uint8Array | undefined>
  set(key: string, value: Uint8Array): Promise<unknown>
}

// Each engine as its client library's documentation uses it, with the tables of the plugin.

async function nats(address: string): Promise<StoreSide> {
  const bucket = await new Kvm(await connectNats({ servers: address })).create('library')
  return {
    get: async (key) => (await bucket.get(key))?.value,
    set: (key, value) => bucket.put(key, value),
  }
}

async function redis(address: string): Promise<StoreSide> {
  const client = createClient({ url: address })
  await client.connect()
  const asBytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  return {
    get: async (key) => (await asBytes.get(`library:${key}`)) ?? undefined,
    set: (key, value) => client.set(`library:${key}`, Buffer.from(value)),
  }
}

async function postgres(address: string): Promise<StoreSide> {
  const pool = new Pool({ connectionString: address, max: 10 })
  await pool.query(
    'CREATE TABLE IF NOT EXISTS library (key bytea PRIMARY KEY, value bytea NOT NULL, expires_at timestamptz)',
  )
  return {
    async get(key) {
      const text = 'SELECT value FROM library WHERE key = $1 AND (expires_at IS NULL OR expires_at > now())'
      const { rows } = await pool.query<{ value: Buffer }>(text, [Buffer.from(key)])
      return rows[0]?.value
    },
    set: (key, value) =>
      pool.query(
        'INSERT INTO library (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at',
        [Buffer.from(key), Buffer.from(value)],
      ),
  }
}

async function mysql(address: string): Promise<StoreSide> {
  const pool = createPool({ uri: address, connectionLimit: 10 })
  await pool.query(
    'CREATE TABLE IF NOT EXISTS library (entry_key VARBINARY(512) NOT NULL PRIMARY KEY, entry_value LONGBLOB NOT NULL, expires_at DATETIME(3) NULL) ENGINE = InnoDB',
  )
  return {
    async get(key) {
      const text =
        'SELECT entry_value FROM library WHERE entry_key = ? AND (expires_at IS NULL OR expires_at > UTC_TIMESTAMP(3))'
      const [rows] = await pool.query<(RowDataPacket & { readonly entry_value: Buffer })[]>(text, [
        Buffer.from(key),
      ])
      return rows[0]?.entry_value
    },
    set: (key, value) =>
      pool.query(
        'INSERT INTO library (entry_key, entry_value) VALUES (?, ?) ON DUPLICATE KEY UPDATE entry_value = VALUES(entry_value), expires_at = VALUES(expires_at)',
        [Buffer.from(key), Buffer.from(value)],
      ),
  }
}

export const storeLibraries: Readonly<Record<string, (address: string) => Promise<StoreSide>>> = {
  nats,
  redis,
  postgres,
  mysql,
}
