import { toAndthenError, type Logger } from '../../base/index.ts'
import type { Network } from '../../network/index.ts'
import { type Info, INFO_PROTOCOL, infoMessage, prefixed } from '../../wire/index.ts'

/** Answers the info protocol: one message a stream, then the end. */
export async function serveInfo(
  components: { network: Pick<Network, 'handle'>; logger: Logger },
  info: () => Info
): Promise<void> {
  await components.network.handle(INFO_PROTOCOL, stream => {
    stream.onData = () => undefined
    stream.onClose = () => undefined
    stream.send([prefixed(infoMessage.encode(info()))])
    stream.close().catch((thrown: unknown) => {
      components.logger.debug({ peer: stream.remotePeer, error: toAndthenError(thrown).message }, 'info was not read')
    })
  })
}
