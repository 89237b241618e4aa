import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { timeProcess } from '../processes.js'

/** Makes `folder` a module to build Go files in. */
export async function goModule(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'go.mod'), 'module testplugin\n\ngo 1.21\n')
}

const environment = { ...process.env, CGO_ENABLED: '1', GOFLAGS: '', GOWORK: 'off' }

/** Builds one file as a plugin, and gives how long it took in milliseconds. */
export function goBuild(folder: string, source: string, output: string): number {
  return timeProcess('go', ['build', '-buildmode=plugin', '-o', output, source], {
    cwd: folder,
    env: environment,
  })
}

/** Builds one file as a program. */
export function goProgram(folder: string, source: string, output: string): void {
  timeProcess('go', ['build', '-o', output, source], { cwd: folder, env: environment })
}
