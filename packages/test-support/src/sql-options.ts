/** Options that no store in a database of a server can have; what an error says of them must not hold `secret`. */
export function impossibleSqlOptions(scheme: string): readonly Readonly<Record<string, unknown>>[] {
  return [
    { timeoutMs: NaN },
    { timeoutMs: 0 },
    { timeoutMs: 2 ** 31 },
    { maxConnections: -1 },
    { maxConnections: '5' },
    { maxWaiting: 0 },
    { maxValueBytes: Infinity },
    { sweepIntervalMs: 0 },
    { sweepIntervalMs: 0.5 },
    { addresses: [`${scheme}://u:50%secret@h/d`] },
    { addresses: '127.0.0.1' },
    { addresses: [5432] },
    { table: 5 },
  ]
}
