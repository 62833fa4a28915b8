import protobuf from 'protobufjs'

// The part of onnx.proto3 (ONNX 1.18, IR version 10) that graphs of weights and operators need.
const source = `
syntax = "proto3";
package onnx;
message ModelProto {
  int64 ir_version = 1;
  string producer_name = 2;
  GraphProto graph = 7;
  repeated OperatorSetIdProto opset_import = 8;
}
message OperatorSetIdProto { string domain = 1; int64 version = 2; }
message GraphProto {
  repeated NodeProto node = 1;
  string name = 2;
  repeated TensorProto initializer = 5;
  repeated ValueInfoProto input = 11;
  repeated ValueInfoProto output = 12;
}
message NodeProto {
  repeated string input = 1;
  repeated string output = 2;
  string name = 3;
  string op_type = 4;
  repeated AttributeProto attribute = 5;
  string domain = 7;
}
message AttributeProto { string name = 1; float f = 2; int64 i = 3; int32 type = 20; }
message TensorProto {
  repeated int64 dims = 1;
  int32 data_type = 2;
  string name = 8;
  bytes raw_data = 9;
  repeated StringStringEntryProto external_data = 13;
  int32 data_location = 14;
}
message StringStringEntryProto { string key = 1; string value = 2; }
message ValueInfoProto { string name = 1; TypeProto type = 2; }
message TypeProto { TypeTensor tensor_type = 1; }
message TypeTensor { int32 elem_type = 1; TensorShapeProto shape = 2; }
message TensorShapeProto { repeated Dimension dim = 1; }
message Dimension { oneof value { int64 dim_value = 1; string dim_param = 2; } }
`

const modelType = protobuf.parse(source, { keepCase: true }).root.lookupType('onnx.ModelProto')

export interface AttributeProto {
  name: string
  type: 1 | 2
  f?: number
  i?: number
}

export interface NodeProto {
  name: string
  op_type: string
  domain: string
  input: readonly string[]
  output: readonly string[]
  attribute: AttributeProto[]
}

export interface TensorProto {
  name: string
  dims: readonly number[]
  data_type: number
  raw_data?: Uint8Array
  external_data?: { key: string; value: string }[]
  data_location?: 1
}

export interface ValueInfoProto {
  name: string
  type: { tensor_type: { elem_type: number; shape: { dim: ({ dim_value: number } | { dim_param: string })[] } } }
}

export interface ModelProto {
  ir_version: number
  producer_name: string
  opset_import: { domain: string; version: number }[]
  graph: {
    name: string
    node: NodeProto[]
    initializer: TensorProto[]
    input: ValueInfoProto[]
    output: ValueInfoProto[]
  }
}

export function encodeModel(model: ModelProto): Uint8Array {
  return modelType.encode(model).finish()
}
