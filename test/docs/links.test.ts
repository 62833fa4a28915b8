import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

// The documents speak of files and sections that are there.

const root = fileURLToPath(new URL('../..', import.meta.url))
const pages = [
  ...['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'].filter(name => existsSync(join(root, name))),
  ...readdirSync(join(root, 'docs'))
    .filter(name => name.endsWith('.md'))
    .map(name => `docs/${name}`)
]
const read = (path: string): string => readFileSync(path, 'utf8')
const withoutCode = (text: string): string => text.replace(/```[^]*?```/g, '')

/** The name that GitHub gives a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replace(/ /g, '-')
const anchorsOf = (text: string): string[] =>
  [...withoutCode(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading))

function brokenLinks(page: string): string[] {
  const path = join(root, page)
  const text = withoutCode(read(path))
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link)
  return links.filter(link => {
    if (/^[a-z]+:/.test(link)) return false
    const [file = '', anchor] = link.split('#')
    const target = file === '' ? path : resolve(dirname(path), file)
    if (!existsSync(target)) return true
    return anchor !== undefined && !anchorsOf(read(target)).includes(anchor)
  })
}

/** Paths of this project between backticks; a placeholder, as in `test/ROOM`, is none. */
function missingPaths(page: string): string[] {
  const quoted = [
    ...withoutCode(read(join(root, page))).matchAll(/`((?:src|test|bin|proto|scripts|models)\/[\w./-]+)`/g)
  ]
  return quoted.map(([, path = '']) => path).filter(path => !/[A-Z]{3}/.test(path) && !existsSync(join(root, path)))
}

describe.each(pages)('%s', page => {
  it('links to files and sections that exist', () => expect(brokenLinks(page)).toEqual([]))
  it('names paths that exist', () => expect(missingPaths(page)).toEqual([]))
})
