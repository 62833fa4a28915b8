import { extname } from 'node:path'

/** A program (of a thread or a child process) that lies beside the module at `url`: TypeScript in src, JavaScript when built. */
export function programUrl(name: string, url: string): URL {
  return new URL(`./${name}${extname(new URL(url).pathname)}`, url)
}
