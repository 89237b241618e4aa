import { createHash } from 'node:crypto'

/** A number that fixtures export, so that copies of one build can be told apart; no bundler takes it apart. */
const marker = '7310123456789'
const digits = 10

/** Makes copies of `text` that differ in the last ten digits, so that nothing that was made of one fits another. */
export function stamper(text: Buffer): (n: number) => Buffer {
  const at = text.indexOf(marker)
  if (at < 0 || text.includes(marker, at + 1)) throw new Error('a fixture holds its stamp once')
  return (n) => {
    const copy = Buffer.from(text)
    copy.write(String(n).padStart(digits, '0'), at + marker.length - digits, 'latin1')
    return copy
  }
}

/**
 * The same for a plugin file, whose manifest is written anew: building thousands of files would
 * take longer than what is measured with them.
 */
export function pluginStamper(file: Buffer): (n: number) => Buffer {
  const lineEnd = file.indexOf(10)
  const [, , , ...rest] = file.toString('latin1', 0, lineEnd - 2).split(' ')
  const text = rest.join(' ')
  const { code } = JSON.parse(text) as { code: { sha256: string } }
  const stamp = stamper(file.subarray(lineEnd + 2))
  return (n) => {
    const stamped = stamp(n)
    const manifest = text.replace(code.sha256, sha256(stamped))
    return Buffer.concat([Buffer.from(`/*!plugin 1 ${sha256(manifest)} ${manifest}*/\n\n`), stamped])
  }
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}
