/**
 * Follows the folder that skill-sync writes and keeps a registry of its skills current while the gateway runs.
 *
 *     import { SkillReloader, skillHealth } from "./skill-reloader.mjs";
 *     const reloader = new SkillReloader("/data/skills");
 *     reloader.on("change", ({ id, what }) => …);      // added, changed, removed
 *     await reloader.start();
 *     http.createServer((request, response) => skillHealth(reloader, request, response) || …);
 *
 * chokidar 4 and 5 have no globs: the folder is watched, and what is not a skill's file is filtered out. Whatever an event says, only what
 * stands in the folder afterwards counts, so that lost, doubled and reordered events do no harm; `.reload`, which skill-sync touches
 * behind each install, makes every skill be looked at once more.
 */

import { EventEmitter } from "node:events";
import { relative, sep } from "node:path";

import { watch } from "chokidar";

import { SkillRegistry, idOf } from "./skill-registry.mjs";

export { SkillRegistry } from "./skill-registry.mjs";

const DEBOUNCE_MS = 250;
/** Between looks at a skill whose file is bad or missing. */
const AGAIN_MS = [250, 500, 1000, 2000, 5000];
const RELOAD = ".reload";

export class SkillReloader extends EventEmitter {
  #watcher = null;
  #timers = new Map();
  #tries = new Map();
  #queue = Promise.resolve();
  #closed = false;

  /**
   * @param {string} folder what to follow
   * @param {{debounceMs?: number, log?: (line: string) => void, registry?: SkillRegistry}} [options]
   */
  constructor(folder, { debounceMs = DEBOUNCE_MS, log = console.log, registry = new SkillRegistry(folder) } = {}) {
    super();
    this.folder = folder;
    this.registry = registry;
    this.#debounceMs = debounceMs;
    this.#log = log;
  }

  #debounceMs;
  #log;

  /** Load what is there and begin to follow; resolves when both are done. */
  async start() {
    this.#watcher = watch(this.folder, {
      ignoreInitial: true,
      followSymlinks: false,
      depth: 1,
      ignored: (path) => this.#isIgnored(path),
    });
    const ready = new Promise((resolve) => this.#watcher.once("ready", resolve));
    this.#watcher.on("all", (_event, path) => this.#noticed(path));
    // Watching can fail, for example for want of inotify watches; `.reload` may then still be seen.
    this.#watcher.on("error", (error) => this.#log(`[SkillWatcher] Error: ${error.code ?? error.message}`));
    await ready;
    // Only now: what changes while it is loaded is noticed.
    await this.rescan();
    this.#log(`[SkillWatcher] Watching ${this.folder} (${this.registry.list().length} skills)`);
  }

  /** Look at every skill once. */
  async rescan() {
    const ids = await this.registry.ids();
    await Promise.all([...ids].map((id) => this.#look(id)));
  }

  /** Stop following; what is loaded stays. */
  async close() {
    this.#closed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    await this.#watcher?.close();
    await this.#queue;
  }

  #path(path) {
    return relative(this.folder, path).split(sep).join("/");
  }

  #isIgnored(path) {
    const inside = this.#path(path);
    return inside !== "" && inside !== RELOAD && idOf(inside) === null;
  }

  #noticed(path) {
    const inside = this.#path(path);
    if (inside === RELOAD || inside === "") {
      this.#soon("", this.#debounceMs, () => this.rescan());
    } else {
      const id = idOf(inside);
      if (id !== null) this.#soon(id, this.#debounceMs, () => this.#look(id));
    }
  }

  #soon(key, delayMs, act) {
    if (this.#closed) return;
    clearTimeout(this.#timers.get(key));
    const timer = setTimeout(() => {
      this.#timers.delete(key);
      act().catch((error) => this.#log(`[SkillWatcher] Error: ${error.code ?? error.message}`));
    }, delayMs);
    this.#timers.set(key, timer);
  }

  #look(id) {
    // One after the other: two looks at the same skill must not overtake each other.
    this.#queue = this.#queue.then(() => this.#judge(id));
    return this.#queue;
  }

  async #judge(id) {
    const what = await this.registry.look(id);
    if (what === "bad" || what === "unsettled") {
      const tries = this.#tries.get(id) ?? 0;
      this.#tries.set(id, tries + 1);
      if (tries === 1) this.#tell(id, what);
      this.#soon(id, AGAIN_MS[Math.min(tries, AGAIN_MS.length - 1)], () => this.#look(id));
      return;
    }
    this.#tries.delete(id);
    if (what !== "unchanged") {
      this.#log(`[SkillWatcher] Skill changed: ${id} (${what})`);
      this.emit("change", { id, what, skill: this.registry.get(id) ?? null });
    }
  }

  #tell(id, what) {
    const skill = this.registry.get(id);
    if (what === "bad") this.#log(`[SkillWatcher] Skill not taken over: ${id} (${skill?.error ?? "not loaded"})`);
  }
}

/**
 * Answer `GET /health?check=skills`: every loaded skill's name, version and digest, and what was not taken over.
 *
 * @returns {boolean} whether the request was for this
 */
export function skillHealth(reloader, request, response) {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname !== "/health" || url.searchParams.get("check") !== "skills") return false;
  const skills = reloader.registry.list().map(({ id, name, version, digest, error }) => ({ id, name, version, digest, error }));
  const body = JSON.stringify({ ok: true, count: skills.length, skills });
  response.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-store" });
  response.end(request.method === "HEAD" ? undefined : body);
  return true;
}
