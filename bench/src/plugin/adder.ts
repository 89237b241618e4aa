/** What `fixtures/adder.ts` exports, as part of the host: the call that a handle is compared with. */
export function add(a: number, b: number): number {
  return (a + b) | 0
}

export async function addAsync(a: number, b: number): Promise<number> {
  return (a + b) | 0
}
