import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate with its key, as files. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** Why there are no certificates; false where openssl makes them. */
export const noOpenssl: string | false = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return false
  } catch {
    return 'openssl is not installed, and makes the certificates'
  }
})()

/** An authority of its own in a temporary folder, and what it signs. */
export class Authority implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'mg-tls-'))
  readonly ca: string
  readonly #key: string
  #count = 0

  constructor() {
    const { cert, key } = this.#files('ca')
    this.#openssl('req', '-x509', ...this.#newKey(key), '-out', cert, '-days', '2', '-subj', '/CN=authority')
    this.ca = cert
    this.#key = key
  }

  /** @param names e.g. `DNS:localhost,IP:127.0.0.1`. */
  sign(names = 'DNS:localhost,IP:127.0.0.1', validity: readonly string[] = ['-days', '2']): Certificate {
    const { cert, key } = this.#files(`cert-${this.#count++}`)
    const request = `${cert}.request`
    const extensions = `${cert}.extensions`
    writeFileSync(extensions, `subjectAltName=${names}\n`)
    this.#openssl('req', ...this.#newKey(key), '-out', request, '-subj', '/CN=node')
    const issuer = ['-CA', this.ca, '-CAkey', this.#key, '-CAcreateserial']
    this.#openssl(
      'x509',
      '-req',
      '-in',
      request,
      ...issuer,
      '-out',
      cert,
      '-extfile',
      extensions,
      ...validity,
    )
    return { cert, key }
  }

  /** The text of a file of this authority. */
  static text(path: string): string {
    return readFileSync(path, 'utf8')
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  #files(name: string): Certificate {
    return { cert: join(this.folder, `${name}.pem`), key: join(this.folder, `${name}.key`) }
  }

  #newKey(path: string): string[] {
    return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', path]
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  }
}
