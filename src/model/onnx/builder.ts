import { encodeModel, type AttributeProto, type NodeProto, type TensorProto, type ValueInfoProto } from './schema.ts'

/** TensorProto.DataType. */
const dataTypes = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9, float16: 10, bfloat16: 16 } as const

export type OnnxType = keyof typeof dataTypes

/** Sizes, or names for those known only when the graph runs. */
export type OnnxShape = readonly (number | string)[]

type Attribute = { readonly int: number } | { readonly float: number }

export interface NodeInit {
  /** @default '' (ONNX's own operators) */
  domain?: 'com.microsoft'
  attributes?: Readonly<Record<string, Attribute>>
}

/** Where an initializer's bytes lie in a file beside the graph. */
export interface ExternalData {
  /** Path relative to the folder that the runtime is told. */
  readonly location: string
  readonly offset: number
  readonly byteLength: number
}

// ONNX Runtime 1.30 takes up to opset 26 and IR 13; the operators used here are unchanged since these.
const opsetVersion = 21
const microsoftOpsetVersion = 1
const irVersion = 10

/** Collects nodes and initializers in topological order and writes them as an ONNX ModelProto. */
export class GraphBuilder {
  readonly #name: string
  readonly #nodes: NodeProto[] = []
  readonly #initializers: TensorProto[] = []
  readonly #inputs: ValueInfoProto[] = []
  readonly #outputs: ValueInfoProto[] = []

  constructor(name: string) {
    this.#name = name
  }

  input(name: string, type: OnnxType, shape: OnnxShape): string {
    this.#inputs.push(valueInfo(name, type, shape))
    return name
  }

  /** Declares a value that a node writes as one of the graph's outputs. */
  output(name: string, type: OnnxType, shape: OnnxShape): void {
    this.#outputs.push(valueInfo(name, type, shape))
  }

  /**
   * Adds an operator; an empty name among `inputs` or `outputs` is an optional one left out.
   *
   * @returns the first output's name
   */
  node(type: string, inputs: readonly string[], outputs: readonly [string, ...string[]], init: NodeInit = {}): string {
    const attribute = Object.entries(init.attributes ?? {}).map(([name, value]): AttributeProto => {
      return 'int' in value ? { name, type: 2, i: value.int } : { name, type: 1, f: value.float }
    })
    this.#nodes.push({
      name: outputs[0],
      op_type: type,
      domain: init.domain ?? '',
      input: inputs,
      output: outputs,
      attribute
    })
    return outputs[0]
  }

  /** A constant within the graph. */
  constant(name: string, type: OnnxType, shape: readonly number[], bytes: Uint8Array): string {
    this.#initializers.push({ name, dims: shape, data_type: dataTypes[type], raw_data: bytes })
    return name
  }

  /** A constant whose bytes stay in their file. */
  external(name: string, type: OnnxType, shape: readonly number[], data: ExternalData): string {
    this.#initializers.push({
      name,
      dims: shape,
      data_type: dataTypes[type],
      data_location: 1,
      external_data: [
        { key: 'location', value: data.location },
        { key: 'offset', value: String(data.offset) },
        { key: 'length', value: String(data.byteLength) }
      ]
    })
    return name
  }

  cast(value: string, to: OnnxType, output: string): string {
    return this.node('Cast', [value], [output], { attributes: { to: { int: dataTypes[to] } } })
  }

  /** A serialized ModelProto. */
  build(): Uint8Array {
    return encodeModel({
      ir_version: irVersion,
      producer_name: 'andthen',
      opset_import: [
        { domain: '', version: opsetVersion },
        { domain: 'com.microsoft', version: microsoftOpsetVersion }
      ],
      graph: {
        name: this.#name,
        node: this.#nodes,
        initializer: this.#initializers,
        input: this.#inputs,
        output: this.#outputs
      }
    })
  }
}

function valueInfo(name: string, type: OnnxType, shape: OnnxShape): ValueInfoProto {
  const dim = shape.map(size => (typeof size === 'number' ? { dim_value: size } : { dim_param: size }))
  return { name, type: { tensor_type: { elem_type: dataTypes[type], shape: { dim } } } }
}
