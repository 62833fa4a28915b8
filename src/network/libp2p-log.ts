import type { ComponentLogger, Logger } from '@libp2p/interface'

const ignore = (): void => undefined
const silent: Logger = Object.assign(ignore, { error: ignore, trace: ignore, enabled: false, newScope: () => silent })

/**
 * libp2p logs every frame, and as errors whatever strangers send: none of it is for our log, which the room writes
 * itself. Saying so up front also spares the formatting.
 */
export const silentLibp2pLog: ComponentLogger = { forComponent: () => silent }
