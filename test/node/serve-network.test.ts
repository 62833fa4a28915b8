import { expect, it } from 'vitest'
import { checkNetwork } from '../../src/node/serve-network.ts'

it.each(['proxy.example.org', '10.0.0.0/33', '10.0.0.0/', ''])(
  '%j is no shared host, and the flag is named',
  async entry => {
    const checked = checkNetwork({ model: '', blocks: { from: 0, to: 1 }, sharedHosts: ['10.0.0.1', entry] })
    await expect(checked).rejects.toMatchObject({ code: 'USAGE' })
    await expect(checked).rejects.toThrow(`--shared-hosts: "${entry}" is not an address`)
  }
)
