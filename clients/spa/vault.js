// One value for all tabs of this origin, in IndexedDB. Not in localStorage: two tabs can be two processes, and what one
// has just written there the other may not see yet, lock or no lock. Then both would present the same refresh token.

const STORE = "vault";

export class Vault {
  #name;
  #channel;
  #opened;

  // `changed` is called when another tab has written.
  constructor(name, changed) {
    this.#name = name;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = changed;
  }

  read() {
    return this.#run("readonly", (store) => store.get(this.#name));
  }

  async write(value) {
    await this.#run("readwrite", (store) => store.put(value, this.#name));
    this.#channel.postMessage("written");
  }

  async clear() {
    await this.#run("readwrite", (store) => store.delete(this.#name));
    this.#channel.postMessage("cleared");
  }

  // Runs work while no other tab does: what it reads is what the tab before it wrote.
  locked(work) {
    return navigator.locks.request(this.#name, work);
  }

  async #run(mode, work) {
    this.#opened ??= open();
    const transaction = (await this.#opened).transaction(STORE, mode);
    const request = work(transaction.objectStore(STORE));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  }
}

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(STORE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
