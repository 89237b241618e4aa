// The lock file names packages and their hashes, and no place to download them from.

import { readFileSync } from 'node:fs'

const text = readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8')
const addresses = Object.entries(JSON.parse(text).packages).filter(([, { resolved }]) =>
  /^[a-z+]+:\/\//.test(resolved ?? ''),
)
if (addresses.length > 0) {
  console.error(
    `package-lock.json has download addresses, e.g. for ${addresses[0][0]}; run npm install with the project's .npmrc`,
  )
  process.exit(1)
}
