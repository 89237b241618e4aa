import { ServiceError } from '@micrograft/contracts'

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
}

/** `grpc-timeout`, of at most eight digits, and go-micro's `timeout`, in nanoseconds. */
export function timeoutHeaders(timeoutMs: number | undefined): Record<string, string> {
  if (timeoutMs === undefined || !Number.isFinite(timeoutMs)) return {}
  const ms = Math.max(0, timeoutMs)
  return { 'grpc-timeout': grpcTimeout(ms), timeout: String(BigInt(Math.ceil(ms * 1e6))) }
}

function grpcTimeout(ms: number): string {
  for (const unit of ['m', 'S', 'H'] as const) {
    const value = Math.ceil(ms / (unitMs[unit] as number))
    if (value <= 99_999_999) return `${value}${unit}`
  }
  return '99999999H'
}

/**
 * How long a caller waits, in milliseconds: the shorter where both say.
 * @throws `protocol` for a value that is none.
 */
export function readTimeout(grpc: string | undefined, nanoseconds: string | undefined): number | undefined {
  let ms: number | undefined
  if (grpc !== undefined) {
    const match = /^(\d{1,8})([HMSmun])$/.exec(grpc)
    if (!match)
      throw new ServiceError(
        'protocol',
        `the grpc-timeout ${JSON.stringify(grpc.slice(0, 32))} is none; it is up to 8 digits and a unit`,
      )
    ms = Number(match[1]) * (unitMs[match[2] as string] as number)
  }
  // Go-micro ignores one that it cannot read.
  if (nanoseconds !== undefined && /^\d{1,20}$/.test(nanoseconds))
    ms = Math.min(ms ?? Infinity, Number(nanoseconds) / 1e6)
  return ms
}
