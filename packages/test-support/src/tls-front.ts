import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'

/** A door with TLS before a server that has none: what comes in decrypted goes to the server's port. */
export class TlsFront implements AsyncDisposable {
  readonly port: number
  /** The certificate that the door shows for localhost, which is its own authority. */
  readonly ca: string
  readonly #server: Server
  readonly #sockets = new Set<TLSSocket>()

  private constructor(server: Server, ca: string, port: number, host: string) {
    this.#server = server
    this.ca = ca
    this.port = (server.address() as AddressInfo).port
    server.on('secureConnection', (near) => this.#join(near, port, host))
  }

  static async to(port: number, host = '127.0.0.1'): Promise<TlsFront> {
    const { key, cert } = await selfSigned()
    const server = createServer({ key, cert })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new TlsFront(server, cert, port, host)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #join(near: TLSSocket, port: number, host: string): void {
    const far = connect(port, host)
    this.#sockets.add(near)
    near
      .on('error', () => undefined)
      .once('close', () => {
        this.#sockets.delete(near)
        far.destroy()
      })
    far.on('error', () => undefined).once('close', () => near.destroy())
    near.pipe(far).pipe(near)
  }
}

/** Node has no means to make a certificate. */
async function selfSigned(): Promise<{ readonly key: string; readonly cert: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'micrograft-tls-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  try {
    const what = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
    const whom = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
    const where = ['-keyout', key, '-out', cert]
    await promisify(execFile)('openssl', ['req', '-x509', ...what, ...whom, ...where])
    return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
