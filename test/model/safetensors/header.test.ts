import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ModelFileError } from '../../../src/model/index.ts'
import { headerLength, maxHeaderBytes, parseHeader } from '../../../src/model/safetensors/header.ts'

const elementBytes = { F32: 4, F16: 2, BF16: 2, I64: 8, BOOL: 1, F8_E4M3: 1 }

interface Tensor {
  name: string
  dtype: keyof typeof elementBytes
  shape: number[]
}

const tensorName = fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }).filter(name => name !== '__metadata__')

const tensors = fc.uniqueArray(
  fc.record<Tensor>({
    name: tensorName,
    dtype: fc.constantFrom(...(Object.keys(elementBytes) as Tensor['dtype'][])),
    shape: fc.array(fc.nat(64), { maxLength: 4 })
  }),
  { selector: tensor => tensor.name, maxLength: 20 }
)

function layOut(list: readonly Tensor[]) {
  let end = 0
  const placed = list.map(tensor => {
    const begin = end
    end += tensor.shape.reduce((product, size) => product * size, 1) * elementBytes[tensor.dtype]
    return { ...tensor, begin, end }
  })
  return { placed, bytes: end }
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

function headerOf(list: readonly Tensor[], metadata = false): { json: Uint8Array; bytes: number } {
  const { placed, bytes } = layOut(list)
  const entries = placed.map(({ name, dtype, shape, begin, end }) => [
    name,
    { dtype, shape, data_offsets: [begin, end] }
  ])
  const header = Object.fromEntries(metadata ? [['__metadata__', { format: 'pt' }], ...entries] : entries)
  return { json: encode(header), bytes }
}

/** What a reader may do with a damaged file: read it all the same, or refuse it by name. */
function expectTyped(read: () => unknown): void {
  try {
    read()
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(ModelFileError)
    expect((thrown as ModelFileError).code).toMatch(/^SAFETENSORS_/)
  }
}

function codeOf(read: () => unknown): string {
  try {
    read()
  } catch (thrown) {
    if (thrown instanceof ModelFileError) return thrown.code
    throw thrown
  }
  return 'none'
}

const one = (entry: object, bytes: number) => () => parseHeader(encode({ w: entry }), bytes, 'w.safetensors')

describe('parseHeader', () => {
  it('gives back every tensor of a well-formed header, in the order of the file', () => {
    fc.assert(
      fc.property(tensors, fc.boolean(), (list, metadata) => {
        const { json, bytes } = headerOf(list, metadata)
        const found = parseHeader(json, bytes, 'w.safetensors')
        expect(new Set(found)).toEqual(new Set(layOut(list).placed))
        expect(found.map(entry => entry.begin)).toEqual(found.map(entry => entry.begin).sort((a, b) => a - b))
      })
    )
  })

  it('refuses a damaged header with a typed error and nothing else', () => {
    fc.assert(
      fc.property(
        tensors,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        (list, changes) => {
          const { json, bytes } = headerOf(list)
          for (const [at, value] of changes) json[at % json.length] = value
          expectTyped(() => parseHeader(json, bytes, 'w.safetensors'))
        }
      ),
      { numRuns: 500 }
    )
  })

  it('refuses any other JSON with a typed error and nothing else', () => {
    const value = fc.oneof(
      fc.anything(),
      fc.dictionary(
        fc.string(),
        fc.record({ dtype: fc.constantFrom('F32', 'BF16', 'X'), shape: fc.anything(), data_offsets: fc.anything() })
      )
    )
    fc.assert(
      fc.property(
        value.filter(
          found => JSON.stringify(found, (_, part: unknown) => (typeof part === 'bigint' ? null : part)) !== undefined
        ),
        fc.nat(),
        (found, bytes) => {
          const text = JSON.stringify(found, (_, part: unknown) => (typeof part === 'bigint' ? null : part))
          expectTyped(() => parseHeader(new TextEncoder().encode(text), bytes, 'w.safetensors'))
        }
      )
    )
  })

  it('finds a file that was cut anywhere in its data', () => {
    fc.assert(
      fc.property(tensors, fc.nat(), (list, cut) => {
        const { json, bytes } = headerOf(list)
        fc.pre(bytes > 0)
        expect(codeOf(() => parseHeader(json, cut % bytes, 'w.safetensors'))).toBe('SAFETENSORS_TRUNCATED')
      })
    )
  })

  it.each<[string, () => unknown, string]>([
    [
      'a length that does not fit the shape',
      one({ dtype: 'F32', shape: [2], data_offsets: [0, 4] }, 4),
      'SAFETENSORS_HEADER'
    ],
    ['an unknown dtype', one({ dtype: 'F12', shape: [2], data_offsets: [0, 4] }, 4), 'SAFETENSORS_DTYPE'],
    ['negative offsets', one({ dtype: 'F32', shape: [1], data_offsets: [-4, 0] }, 4), 'SAFETENSORS_HEADER'],
    ['offsets the wrong way round', one({ dtype: 'F32', shape: [0], data_offsets: [4, 0] }, 4), 'SAFETENSORS_HEADER'],
    ['a fractional shape', one({ dtype: 'F32', shape: [0.5], data_offsets: [0, 2] }, 2), 'SAFETENSORS_HEADER'],
    [
      'sizes beyond exact integers',
      one({ dtype: 'F32', shape: [2 ** 53], data_offsets: [0, 2 ** 55] }, 4),
      'SAFETENSORS_HEADER'
    ],
    [
      'a shape whose product overflows',
      one({ dtype: 'F32', shape: Array(40).fill(2 ** 50), data_offsets: [0, 4] }, 4),
      'SAFETENSORS_HEADER'
    ],
    ['a hole at the start', one({ dtype: 'F32', shape: [1], data_offsets: [4, 8] }, 8), 'SAFETENSORS_HEADER'],
    ['bytes behind the last tensor', one({ dtype: 'F32', shape: [1], data_offsets: [0, 4] }, 8), 'SAFETENSORS_HEADER'],
    ['a list', () => parseHeader(encode([]), 0, 'w'), 'SAFETENSORS_HEADER'],
    ['broken UTF-8', () => parseHeader(Uint8Array.of(0x7b, 0xff, 0x7d), 0, 'w'), 'SAFETENSORS_HEADER']
  ])('refuses %s', (_, read, code) => {
    expect(codeOf(read)).toBe(code)
  })

  it('refuses tensors that overlap', () => {
    const entry = { dtype: 'F32', shape: [2], data_offsets: [0, 8] }
    const header = encode({ a: entry, b: { ...entry, data_offsets: [4, 12] } })
    expect(codeOf(() => parseHeader(header, 12, 'w.safetensors'))).toBe('SAFETENSORS_HEADER')
  })

  it('keeps a tensor that is named like a property of objects', () => {
    const json = new TextEncoder().encode('{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}')
    expect(parseHeader(json, 4, 'w.safetensors').map(entry => entry.name)).toEqual(['__proto__'])
  })
})

describe('headerLength', () => {
  const prefix = (length: bigint) => new Uint8Array(BigUint64Array.of(length).buffer)

  it('never exceeds what the file has, whatever it declares', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.nat(), (declared, fileBytes) => {
        expectTyped(() => {
          const length = headerLength(prefix(declared), fileBytes, 'w.safetensors')
          expect(length).toBe(Number(declared))
          expect(length).toBeLessThanOrEqual(Math.min(maxHeaderBytes, fileBytes - 8))
        })
      })
    )
  })

  it.each<[string, bigint, number, string]>([
    ['an empty file', 0n, 0, 'SAFETENSORS_TRUNCATED'],
    ['a header longer than the file', 100n, 50, 'SAFETENSORS_TRUNCATED'],
    ['a header longer than any is', BigInt(maxHeaderBytes) + 1n, 2 ** 40, 'SAFETENSORS_HEADER'],
    ['a file that is no safetensors', 0x5d5b7b0a_5d5b7b0an, 2 ** 20, 'SAFETENSORS_HEADER']
  ])('refuses %s', (_, declared, fileBytes, code) => {
    expect(codeOf(() => headerLength(prefix(declared), fileBytes, 'w.safetensors'))).toBe(code)
  })
})
