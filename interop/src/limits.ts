import type { Cell } from './cells.js'

interface Limit {
  readonly why: string
  readonly of: (cell: Cell) => boolean
}

/** What a version of go-micro cannot do, whoever its peer is. One that no longer holds fails the run. */
const limits: readonly Limit[] = [
  {
    why: 'Servers from 2.1.2 to 3.5 send nothing in protobuf that has no body, neither errors nor the end of a stream (micro/go-micro#2110); the call ends at its deadline',
    of: ({ version, from, protocol, type, feature }) =>
      version === 'v2' &&
      from === 'node' &&
      protocol === 'mucp' &&
      type === 'application/protobuf' &&
      (feature === 'error' || feature === 'server stream'),
  },
  {
    why: "A program of go-micro 6.10.0 that imports its gRPC client or server reaches no etcd: they put a codec for protobuf in place of gRPC's that does not take the messages of etcd's client (grpc: error while marshaling: invalid message)",
    of: ({ version, protocol, registry }) => version === 'v6' && protocol === 'grpc' && registry === 'etcd',
  },
]

export function limitOf(cell: Cell): string | undefined {
  return limits.find((each) => each.of(cell))?.why
}
