/**
 * What the gateway has loaded: one entry a skill, read from `<id>/SKILL.md`, or from `<id>.md` where there is no such folder.
 *
 * A file is taken over only when it was read whole and is valid; until then the last good version stays. A skill goes only
 * when its file is gone at two looks in a row. How changes are noticed is left to `skill-reloader.mjs`.
 */

import { createHash } from "node:crypto";
import { lstat, readFile, readdir } from "node:fs/promises";
import { join } from "node:path";

import { parseDocument } from "yaml";

/** Of a SKILL.md; skill-sync publishes none above 100 KiB, the gateway reads none above 256,000 bytes. */
export const MAX_FILE_BYTES = 256_000;
const MAX_FRONTMATTER_CHARS = 16 * 1024;
const ID = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const FRONTMATTER = /^\uFEFF?---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/;

/** The id that a path below the folder (with `/` between segments) belongs to; null when it is nobody's SKILL.md. */
export function idOf(path) {
  const [first, second, ...rest] = path.split("/");
  const id = second === undefined ? (first.endsWith(".md") ? first.slice(0, -3) : first) : first;
  const isOurs = second === undefined || (second === "SKILL.md" && rest.length === 0);
  return isOurs && ID.test(id) ? id : null;
}

/** Read one SKILL.md's text: name, description, version and digest. Throws with the reason when it is not whole or not valid. */
export function parseSkill(data) {
  const text = new TextDecoder("utf-8", { fatal: true }).decode(data);
  const match = FRONTMATTER.exec(text);
  if (match === null || match[1].length > MAX_FRONTMATTER_CHARS) throw new Error("no closed frontmatter");
  const document = parseDocument(match[1], { schema: "failsafe", merge: false, uniqueKeys: true });
  if (document.errors.length > 0) throw new Error(`frontmatter: ${document.errors[0].code}`);
  const members = document.toJS({ maxAliasCount: 0 });
  const name = textOf(members?.name);
  const description = textOf(members?.description);
  if (name === null || description === null) throw new Error("no name or description");
  const version = textOf(members.version) ?? textOf(members.metadata?.version);
  return { name, description, version, digest: createHash("sha256").update(data).digest("hex"), text };
}

function textOf(value) {
  return typeof value === "string" && value.trim() !== "" ? value.trim() : null;
}

export class SkillRegistry {
  #skills = new Map();
  #missing = new Set();

  /** @param {string} folder what skill-sync writes, /data/skills */
  constructor(folder) {
    this.folder = folder;
  }

  /** The loaded skills in order of their ids; `error` says why a newer file was not taken over. */
  list() {
    return [...this.#skills.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  get(id) {
    return this.#skills.get(id);
  }

  /** The ids that stand in the folder now, and those that are loaded. */
  async ids() {
    const found = (await readdir(this.folder)).map(idOf).filter((id) => id !== null);
    return new Set([...found, ...this.#skills.keys()]);
  }

  /**
   * Look at one skill.
   *
   * @returns {Promise<"added"|"changed"|"removed"|"unchanged"|"bad"|"unsettled">} what became of it; after "bad" and
   *   "unsettled" the caller looks again soon.
   */
  async look(id) {
    let data;
    try {
      data = await this.#read(id);
    } catch (error) {
      return this.#keep(id, error.code ?? error.message);
    }
    if (data === null) return this.#gone(id);
    this.#missing.delete(id);
    const former = this.#skills.get(id);
    try {
      const skill = { id, ...parseSkill(data), error: null };
      this.#skills.set(id, skill);
      return former === undefined ? "added" : former.digest === skill.digest ? "unchanged" : "changed";
    } catch (error) {
      return this.#keep(id, error.message);
    }
  }

  #keep(id, why) {
    const former = this.#skills.get(id);
    if (former !== undefined) this.#skills.set(id, { ...former, error: why });
    return "bad";
  }

  #gone(id) {
    if (!this.#skills.has(id)) {
      this.#missing.delete(id);
      return "unchanged";
    }
    // A writer that replaces a file by removing it first is seen without it for a moment.
    if (!this.#missing.has(id)) {
      this.#missing.add(id);
      return "unsettled";
    }
    this.#missing.delete(id);
    this.#skills.delete(id);
    return "removed";
  }

  /** Read the file that counts; null when there is none. What changes while it is read is read again by the caller. */
  async #read(id) {
    for (const path of [join(this.folder, id, "SKILL.md"), join(this.folder, `${id}.md`)]) {
      const before = await statOrNull(path);
      if (before === null) continue;
      if (!before.isFile()) throw new Error("no regular file");
      if (before.size > MAX_FILE_BYTES) throw new Error("too large");
      const data = await readFile(path);
      const after = await statOrNull(path);
      const same = after !== null && after.ino === before.ino && after.size === data.length && after.mtimeMs === before.mtimeMs;
      if (!same) throw new Error("changed while it was read");
      return data;
    }
    return null;
  }
}

async function statOrNull(path) {
  try {
    return await lstat(path);
  } catch (error) {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return null;
    throw error;
  }
}
