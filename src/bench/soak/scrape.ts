import { get } from 'node:http'

/** A server's metrics by name, those with labels summed; over a connection that does not stay. */
export function scrape(admin: string): Promise<Map<string, number>> {
  return new Promise((resolve, reject) => {
    get(`${admin}/metrics`, { agent: false }, response => {
      let page = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (page += chunk))
      response.on('error', reject)
      response.on('end', () => {
        const sums = new Map<string, number>()
        for (const [, name = '', value] of page.matchAll(/^(\w+)(?:\{[^}]*\})? (\S+)$/gm))
          sums.set(name, (sums.get(name) ?? 0) + Number(value))
        resolve(sums)
      })
    }).on('error', reject)
  })
}
