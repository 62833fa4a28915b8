/** What a child program can be asked, by name. */
export type Calls<C> = { [K in keyof C]: (argument: never) => unknown }

export interface Request {
  id: number
  call: string
  argument: unknown
}

export type Answer = { id: number; result: unknown } | { id: number; error: { code: string; message: string } }
