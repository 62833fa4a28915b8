// Runs the commands of docs/BENCHMARKS.md again and writes what they print below them:
// node scripts/benchmarks.mjs [span|chain|routes|load|flood|sessions]
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

const page = new URL('../docs/BENCHMARKS.md', import.meta.url)
const root = new URL('..', import.meta.url)
const wanted = process.argv[2]
const table = /```sh\nnode (bin\/bench (\w+)[^\n]*)\n```\n\n```text\n[^`]*```/g

for (const [before, command, name] of readFileSync(page, 'utf8').matchAll(table)) {
  if (wanted !== undefined && wanted !== name) continue
  process.stderr.write(`node ${command}\n`)
  const out = execFileSync(process.execPath, command.split(' '), { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  const after = `\`\`\`sh\nnode ${command}\n\`\`\`\n\n\`\`\`text\n${out.toString().trimEnd()}\n\`\`\``
  // Read again: a long run leaves time to edit the page.
  writeFileSync(
    page,
    readFileSync(page, 'utf8').replace(before, () => after)
  )
}
