/** Why there is nothing to test on this Node; `false` where there is. */
export const withoutSqlite: string | false =
  process.getBuiltinModule?.('node:sqlite') === undefined &&
  `Node ${process.versions.node} has no node:sqlite, which the sqlite store stands on`
