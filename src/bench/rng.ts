/** Seeded pseudo-random numbers, the same on every machine: for orders, jitter and bootstraps, never for secrets. */
export interface Rng {
  /** Uniform in [0, 1). */
  next(): number
  /** Uniform integer in [0, below). */
  integer(below: number): number
}

const golden = 0x9e3779b9

/** Murmur3's finalizer: every bit of `value` changes half of the bits that come out. */
function mix(value: number): number {
  let x = value | 0
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}

/** sfc32 (Chris Doty-Humphrey's PractRand), its state filled from the seed by mixing. */
export function createRng(seed: number): Rng {
  let a = mix(seed)
  let b = mix(seed + golden)
  let c = mix(Math.floor(seed / 2 ** 32) + 2 * golden)
  let counter = 1
  const draw = (): number => {
    const sum = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }
  // As the reference does: close seeds give unlike streams only after a few rounds.
  for (let round = 0; round < 12; round++) draw()
  const next = (): number => draw() / 2 ** 32
  return { next, integer: below => Math.floor(next() * below) }
}

/**
 * Uniform in [0, 1), a function of its arguments alone: what happens to one byte of one connection does not depend on
 * what other connections did before.
 */
export function noise(seed: number, ...coordinates: readonly number[]): number {
  let hash = mix(seed)
  for (const coordinate of coordinates) {
    hash = mix(hash + Math.imul(coordinate % 2 ** 32, golden))
    hash = mix(hash + Math.floor(coordinate / 2 ** 32) + golden)
  }
  return hash / 2 ** 32
}
