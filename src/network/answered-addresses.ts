/** Addresses at which the peer that they name has answered, the last ones of them. */
export class AnsweredAddresses {
  readonly #most: number
  /** The oldest first. */
  readonly #addresses = new Set<string>()

  constructor(init: { readonly most: number }) {
    this.#most = init.most
  }

  has(address: string): boolean {
    return this.#addresses.has(address)
  }

  add(address: string): void {
    this.#addresses.delete(address)
    this.#addresses.add(address)
    const [oldest] = this.#addresses
    if (this.#addresses.size > this.#most && oldest !== undefined) this.#addresses.delete(oldest)
  }
}
