import { timerMs } from '@micrograft/contracts'

/** How far apart deadlines are told, in milliseconds. */
const tickMs = 4
/** A power of two: a revolution is `slots * tickMs`, and what is due later is passed over until then. */
const slots = 1024
const mask = slots - 1

/** What the wheel tells when its time has come. The fields are the wheel's own. */
export interface Timed {
  /** On the clock of `DeadlineWheel.now`; `Infinity` has none. */
  dueAt: number
  /** Which list it is in; -1 is none. */
  wheelSlot: number
  wheelNext: Timed | undefined
  wheelPrevious: Timed | undefined
  expire(): void
}

/**
 * Tells many deadlines by one timer: never early, and at most a few milliseconds late. Adding and
 * removing cost the same however many there are.
 */
export class DeadlineWheel {
  readonly #heads: (Timed | undefined)[] = Array.from({ length: slots }, () => undefined)
  #size = 0
  #timer: NodeJS.Timeout | undefined
  /** The tick that the timer is set for. */
  #armedTick = Infinity
  /** The last tick that was told. */
  #toldTick = 0
  #stopped = false
  readonly #holds: boolean

  /** @param holds Whether the process stays alive for what is in it. */
  constructor(holds: boolean) {
    this.#holds = holds
  }

  /** Milliseconds on a clock that never goes back. */
  static now(): number {
    return performance.now()
  }

  /** @param now Where it is known; the clock is read only where it is needed. */
  add(timed: Timed, now?: number): void {
    if (timed.dueAt === Infinity || this.#stopped) return
    if (this.#size === 0) this.#toldTick = Math.floor((now ?? DeadlineWheel.now()) / tickMs) - 1
    // A list that was told already comes round again only after a revolution.
    const tick = Math.max(Math.ceil(timed.dueAt / tickMs), this.#toldTick + 1)
    const slot = tick & mask
    const head = this.#heads[slot]
    timed.wheelSlot = slot
    timed.wheelNext = head
    if (head) head.wheelPrevious = timed
    this.#heads[slot] = timed
    this.#size++
    if (tick < this.#armedTick) this.#arm(tick, now ?? DeadlineWheel.now())
    else if (this.#size === 1 && this.#holds) this.#timer?.ref()
  }

  remove(timed: Timed): void {
    const { wheelSlot, wheelNext, wheelPrevious } = timed
    if (wheelSlot === -1) return
    if (wheelPrevious) wheelPrevious.wheelNext = wheelNext
    else this.#heads[wheelSlot] = wheelNext
    if (wheelNext) wheelNext.wheelPrevious = wheelPrevious
    timed.wheelNext = undefined
    timed.wheelPrevious = undefined
    timed.wheelSlot = -1
    if (--this.#size === 0) this.#timer?.unref()
  }

  /** Tells nothing any more; gives what was in it. */
  stop(): readonly Timed[] {
    this.#stopped = true
    clearTimeout(this.#timer)
    const left: Timed[] = []
    for (const head of this.#heads) for (let timed = head; timed; timed = timed.wheelNext) left.push(timed)
    return left
  }

  #arm(tick: number, now: number): void {
    clearTimeout(this.#timer)
    this.#armedTick = tick
    const delay = timerMs(Math.max(1, Math.ceil(tick * tickMs - now)))
    this.#timer = setTimeout(() => this.#turn(), delay)
    if (!this.#holds) this.#timer.unref()
  }

  #turn(): void {
    this.#armedTick = Infinity
    const now = DeadlineWheel.now()
    const tick = Math.floor(now / tickMs)
    // After a whole revolution every list has been looked at.
    const first = Math.max(this.#toldTick + 1, tick - mask)
    for (let each = first; each <= tick; each++) this.#tell(each & mask, now)
    this.#toldTick = tick
    if (this.#size > 0) this.#arm(this.#nextTick(tick), now)
  }

  #tell(slot: number, now: number): void {
    const due: Timed[] = []
    for (let timed = this.#heads[slot]; timed; timed = timed.wheelNext)
      if (timed.dueAt <= now) due.push(timed)
    for (const timed of due) {
      if (timed.wheelSlot === -1) continue
      this.remove(timed)
      timed.expire()
    }
  }

  /** The next tick that has a list, which may hold only what is due a revolution later. */
  #nextTick(tick: number): number {
    for (let ahead = 1; ahead <= slots; ahead++) {
      if (this.#heads[(tick + ahead) & mask]) return tick + ahead
    }
    return tick + slots
  }
}
