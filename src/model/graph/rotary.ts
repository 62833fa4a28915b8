import type { PositionSpec, RotaryScaling } from '../spec.ts'

/** Cosines and sines of every position's angles, float32 [positions, headDim / 2]. */
export interface RotaryTables {
  readonly cos: Float32Array
  readonly sin: Float32Array
}

/** Rounds where transformers does, which computes frequencies and angles in float32. */
export function rotaryTables(spec: PositionSpec, headDim: number, positions: number): RotaryTables {
  const frequencies = rotaryFrequencies(spec, headDim)
  const cos = new Float32Array(positions * frequencies.length)
  const sin = new Float32Array(positions * frequencies.length)
  for (let position = 0, at = 0; position < positions; position++) {
    for (const frequency of frequencies) {
      const angle = Math.fround(position * frequency)
      cos[at] = Math.cos(angle)
      sin[at++] = Math.sin(angle)
    }
  }
  return { cos, sin }
}

/** Radians a position, float32 [headDim / 2] (transformers, `modeling_rope_utils.py`). */
function rotaryFrequencies(spec: PositionSpec, headDim: number): Float32Array {
  return Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const exponent = Math.fround((2 * i) / headDim)
    return scale(Math.fround(1 / Math.fround(spec.theta ** exponent)), spec.scaling)
  })
}

function scale(frequency: number, scaling: RotaryScaling): number {
  switch (scaling.kind) {
    case 'none':
      return frequency
    case 'linear':
      return frequency / scaling.factor
    case 'llama3': {
      const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalLength } = scaling
      const turns = (originalLength * frequency) / (2 * Math.PI)
      if (turns > high) return frequency
      if (turns < low) return frequency / factor
      const smooth = (turns - low) / (high - low)
      return ((1 - smooth) * frequency) / factor + smooth * frequency
    }
  }
}
