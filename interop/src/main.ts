import { etcd, missing, natsServer, ServerProcess } from '@micrograft/test-support'
import { isExpected, nameOf, type Checked } from './cells.js'
import { buildPrograms, goVersion } from './programs.js'
import { matrixOf } from './matrix.js'
import { NodeSide } from './node-side.js'
import type { Settings } from './settings.js'

const toolchain = await goVersion()
const programs = await buildPrograms(toolchain ?? '')
const etcdServer = await ServerProcess.start(etcd)
const nats = await ServerProcess.start(natsServer(() => ({ jetstream: false })))
const settings: Settings = {
  tag: Math.random().toString(36).slice(2, 6),
  etcdPort: etcdServer.port,
  natsPort: nats.port,
  registries: ['mdns', 'etcd', 'nats'],
}
const started = performance.now()
const side = await NodeSide.start(
  settings,
  programs.map(({ version }) => version),
)
const checked: Checked[] = []
for (const program of programs) checked.push(...(await matrixOf(program, side, settings)))
for (const each of checked) if (!isExpected(each)) console.log(nameOf(each.cell), each.outcome)
console.log(checked.length, checked.filter(isExpected).length, Math.round(performance.now() - started))
await side[Symbol.asyncDispose]()
await nats[Symbol.asyncDispose]()
await etcdServer[Symbol.asyncDispose]()
void missing
