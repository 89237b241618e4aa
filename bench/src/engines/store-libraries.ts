import { StorageType } from '@nats-io/jetstream'
import { Kvm } from '@nats-io/kv'
import { connect as connectNats } from '@nats-io/transport-node'
import { createPool, type RowDataPacket } from 'mysql2/promise'
import { Pool } from 'pg'
import { createClient, RESP_TYPES } from 'redis'

/** One way of keeping entries. */
export interface StoreSide {
  get(key: string): Promise<Uint8Array | undefined>
  set(key: string, value: Buffer): Promise<unknown>
}

// Each engine as somebody uses its client library who knows it and wants what the plugin promises: the
// plugin's tables, prepared statements, an expiry with each write, as many connections, a deadline of 5 s.

const maxConnections = 10
const timeoutMs = 5000

/** A put of the library resolves when the stream has it, and both give up after 5 s by default. */
async function nats(address: string): Promise<StoreSide> {
  const kvm = new Kvm(await connectNats({ servers: address }))
  const bucket = await kvm.create('library', {
    history: 1,
    storage: StorageType.File,
    max_bytes: 268_435_456,
  })
  return {
    get: async (key) => (await bucket.get(key))?.value,
    set: (key, value) => bucket.put(key, value),
  }
}

/** Commands of the library have a deadline of 5 s by default. */
async function redis(address: string): Promise<StoreSide> {
  const client = createClient({ url: address })
  await client.connect()
  const asBytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  return {
    get: async (key) => (await asBytes.get(`library:${key}`)) ?? undefined,
    set: (key, value) => client.set(`library:${key}`, value),
  }
}

async function postgres(address: string): Promise<StoreSide> {
  const pool = new Pool({
    connectionString: address,
    max: maxConnections,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  })
  await pool.query(
    'CREATE TABLE IF NOT EXISTS library (key bytea PRIMARY KEY, value bytea NOT NULL, expires_at timestamptz);' +
      'CREATE INDEX IF NOT EXISTS library_expires_at ON library (expires_at) WHERE expires_at IS NOT NULL',
  )
  // With a name the server keeps the statement prepared on each connection.
  const reading = {
    name: 'get',
    text: 'SELECT value FROM library WHERE key = $1 AND (expires_at IS NULL OR expires_at > now())',
  }
  const writing = {
    name: 'set',
    text:
      'INSERT INTO library (key, value, expires_at)' +
      " VALUES ($1, $2, now() + $3::float8 * interval '1 millisecond')" +
      ' ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at',
  }
  return {
    async get(key) {
      const { rows } = await pool.query<{ value: Buffer }>({ ...reading, values: [Buffer.from(key)] })
      return rows[0]?.value
    },
    set: (key, value) => pool.query({ ...writing, values: [Buffer.from(key), value, null] }),
  }
}

async function mysql(address: string): Promise<StoreSide> {
  const pool = createPool({ uri: address, connectionLimit: maxConnections, connectTimeout: timeoutMs })
  await pool.query(
    'CREATE TABLE IF NOT EXISTS library (entry_key VARBINARY(512) NOT NULL PRIMARY KEY, entry_value LONGBLOB NOT NULL,' +
      ' expires_at DATETIME(3) NULL, INDEX (expires_at)) ENGINE = InnoDB',
  )
  const reading = {
    sql: 'SELECT entry_value FROM library WHERE entry_key = ? AND (expires_at IS NULL OR expires_at > UTC_TIMESTAMP(3))',
    timeout: timeoutMs,
  }
  const writing = {
    sql:
      'INSERT INTO library (entry_key, entry_value, expires_at)' +
      ' VALUES (?, ?, UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND)' +
      ' ON DUPLICATE KEY UPDATE entry_value = VALUES(entry_value), expires_at = VALUES(expires_at)',
    timeout: timeoutMs,
  }
  return {
    async get(key) {
      const [rows] = await pool.execute<(RowDataPacket & { readonly entry_value: Buffer })[]>({
        ...reading,
        values: [Buffer.from(key)],
      })
      return rows[0]?.entry_value
    },
    // `execute` prepares the statement on each connection once.
    set: (key, value) => pool.execute({ ...writing, values: [Buffer.from(key), value, null] }),
  }
}

export const storeLibraries: Readonly<Record<string, (address: string) => Promise<StoreSide>>> = {
  nats,
  redis,
  postgres,
  mysql,
}
