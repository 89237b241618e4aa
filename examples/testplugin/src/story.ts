let steps = 0

/** Says what is done, does it, and says how long it took. Indented lines are the story's, the others are printed by plugins. */
export async function step<T>(what: string, run: () => T | Promise<T>): Promise<T> {
  tell(`${++steps}. ${what}`)
  const started = performance.now()
  const result = await run()
  tell(`   ${(performance.now() - started).toFixed(1)} ms`)
  return result
}

export function tell(line: string): void {
  console.log(`  ${line}`)
}
