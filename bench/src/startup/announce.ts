import { writeSync } from 'node:fs'

/** The descriptor that a child tells its address on. It imports nothing else: that would be measured too. */
const addressDescriptor = 3

export function announce(address: string): void {
  writeSync(addressDescriptor, `${address}\n`)
}
