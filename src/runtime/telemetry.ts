/**
 * From 1.30 on the official builds of ONNX Runtime for Linux and macOS report to Microsoft what they run on and load, under
 * an identifier of the machine that they keep (Privacy.md in its packages). Nobody who serves or generates here has agreed
 * to that: off, unless the variable is set to something else. To be called on the main thread, whose environment is the
 * process's, before the library is loaded.
 */
export function withoutTelemetry(): void {
  process.env['ORT_DISABLE_TELEMETRY'] ??= '1'
}
