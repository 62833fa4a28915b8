import { type FastifyInstance, type FastifyReply, fastify } from 'fastify'
import { AndthenError, type Logger, toAndthenError, UsageError } from '../base/index.ts'
import { demandOwnHost, demandToken, isLoopback } from './access.ts'
import { AdminError } from './errors.ts'
import type { Metrics } from './metrics.ts'

export interface AdminInit {
  /** An address or name to listen on. */
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** Wanted from every caller; needed where `host` is not a loopback address. */
  readonly token?: string
  readonly logger: Logger
}

/** What the server tells, asked at each request. */
export interface AdminSources {
  /** Whether sessions are taken: false before the span is loaded, and while draining. */
  ready(): boolean
  info(): object
  sessions(): readonly object[]
  /** Ends a session. False where there is none of that id. */
  deleteSession(id: string): Promise<boolean>
  readonly metrics: Pick<Metrics, 'exposition'>
}

export interface Admin {
  /** `http://HOST:PORT`. */
  readonly address: string
  close(): Promise<void>
}

/**
 * The node's own HTTP server, for its operator: `GET /metrics`, `/healthz`, `/readyz`, `/info`, `/sessions`, and
 * `DELETE /sessions/ID`.
 *
 * @throws UsageError for an address beyond loopback without a token; AdminError ADMIN_ADDRESS where it cannot listen
 */
export async function createAdmin(init: AdminInit, sources: AdminSources): Promise<Admin> {
  demandTokenBeyondLoopback(init)
  // Connections that are kept alive are ended by close(), which else waits for them.
  const server = fastify({
    forceCloseConnections: true,
    bodyLimit: 1024,
    // A URL that cannot be decoded comes to no handler, and to no guard: it is told nothing but that.
    frameworkErrors: (error, request, reply) => answerError(error, request.url, reply, init.logger)
  })
  guard(server, init)
  answerErrors(server, init.logger)
  routes(server, sources)
  return { address: await listen(server, init), close: () => server.close() }
}

/** @throws UsageError for an address beyond loopback without a token */
export function demandTokenBeyondLoopback({ host, token }: Pick<AdminInit, 'host' | 'token'>): void {
  if (token !== undefined || isLoopback(host)) return
  throw new UsageError(`--admin: ${host} can be reached by others: give a token (--admin-token-file), or use 127.0.0.1`)
}

function guard(server: FastifyInstance, { host, token }: AdminInit): void {
  server.addHook('onRequest', async request => {
    demandOwnHost(request.headers.host, host)
    if (token !== undefined) demandToken(request.headers.authorization, token)
  })
}

function routes(server: FastifyInstance, sources: AdminSources): void {
  server.get('/healthz', async () => ({ status: 'ok' }))
  server.get('/readyz', async (_, reply) => {
    const ready = sources.ready()
    return reply.code(ready ? 200 : 503).send({ ready })
  })
  server.get('/info', async () => sources.info())
  server.get('/sessions', async () => ({ sessions: sources.sessions() }))
  server.get('/metrics', async (_, reply) => {
    const { contentType, text } = await sources.metrics.exposition()
    return reply.header('content-type', contentType).send(text)
  })
  server.delete<{ Params: { id: string } }>('/sessions/:id', async (request, reply) => {
    const { id } = request.params
    if (!(await sources.deleteSession(id))) throw new AdminError('NOT_FOUND', 404, `there is no session ${id}`)
    return reply.code(204).send()
  })
}

function answerErrors(server: FastifyInstance, logger: Logger): void {
  server.setNotFoundHandler(request => {
    throw new AdminError('NOT_FOUND', 404, `there is no ${request.method} ${request.url}`)
  })
  server.setErrorHandler((thrown: unknown, request, reply) => answerError(thrown, request.url, reply, logger))
}

function answerError(thrown: unknown, url: string, reply: FastifyReply, logger: Logger): void {
  const error = answerable(thrown)
  const status = error instanceof AdminError ? error.status : 500
  if (status === 500) logger.error({ code: error.code, url }, error.message)
  const { code, message, retryable, details } = error
  void reply.code(status).send({ error: { code, message, retryable, details } })
}

/** What Fastify itself refuses, such as a malformed URL, has a status of its own. */
function answerable(thrown: unknown): AndthenError {
  const status = thrown instanceof Error && 'statusCode' in thrown ? Number(thrown.statusCode) : 500
  const refused = !(thrown instanceof AndthenError) && status >= 400 && status < 500
  const error = toAndthenError(thrown)
  return refused ? new AdminError('BAD_REQUEST', status, error.message, { cause: thrown }) : error
}

async function listen(server: FastifyInstance, { host, port }: AdminInit): Promise<string> {
  try {
    return await server.listen({ host, port })
  } catch (cause) {
    await server.close()
    const problem = `--admin: cannot listen on ${host}:${port}: ${listenProblem(cause)}`
    throw new AdminError('ADMIN_ADDRESS', 500, problem, { cause })
  }
}

const listenProblems: Readonly<Record<string, string>> = {
  EACCES: 'ports below 1024 need privileges: take a higher one',
  EADDRINUSE: 'it is taken: take another, or port 0 for any free one',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOTFOUND: 'the name does not resolve: give an address of this machine'
}

function listenProblem(thrown: unknown): string {
  const { code = '', message } = thrown as NodeJS.ErrnoException
  return listenProblems[code] ?? message
}
