import type { StoredDtype } from '../types.ts'

/** Bits an element of every type that the safetensors format names (safetensors 0.6, `tensor.rs`). */
const bits: ReadonlyMap<string, number> = new Map([
  ['BOOL', 8],
  ['F4', 4],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ['U8', 8],
  ['I8', 8],
  ['F8_E5M2', 8],
  ['F8_E4M3', 8],
  ['F8_E8M0', 8],
  ['I16', 16],
  ['U16', 16],
  ['F16', 16],
  ['BF16', 16],
  ['I32', 32],
  ['U32', 32],
  ['F32', 32],
  ['C64', 64],
  ['F64', 64],
  ['I64', 64],
  ['U64', 64]
])

/** Bits an element, or undefined for a type that the format does not name. */
export function dtypeBits(dtype: string): number | undefined {
  return bits.get(dtype)
}

export const storedDtypes: readonly StoredDtype[] = ['F32', 'F16', 'BF16']

export function isStoredDtype(dtype: string): dtype is StoredDtype {
  return (storedDtypes as readonly string[]).includes(dtype)
}
