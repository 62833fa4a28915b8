/** Settings of an ONNX Runtime session (onnxruntime_session_options_config_keys.h), the same in every binding. */
export function sessionConfig(folder: string): Record<string, string> {
  return {
    'session.model_external_initializers_file_folder_path': folder,
    // Threads that spin between operators take the cores from everything else, and from each other when there are
    // more of them than cores.
    'session.intra_op.allow_spinning': '0'
  }
}
