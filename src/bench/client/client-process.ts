import '../../base/polyfill.ts'
import { answerParent } from '../child-answers.ts'
import type { ClientCalls } from './client-calls.ts'
import { MeasuredClient } from './measured-client.ts'

// The client's process: it does nothing but run what it is asked, so that no log, file or table lands in a step's time.

const client = await MeasuredClient.start()
answerParent<ClientCalls>({
  connect: request => client.connect(request),
  generate: request => client.generate(request),
  timeSpans: request => client.timeSpans(request),
  load: request => client.load(request),
  openDecoders: request => client.openDecoders(request),
  decode: request => client.decode(request),
  delays: request => client.delays(request),
  closeDecoders: decoders => client.closeDecoders(decoders),
  abandon: request => client.abandon(request)
})
