// SPDX-License-Identifier: Apache-2.0
// Starts a real `muster serve` for a test and talks to its HTTP API. Everything it starts, it stops.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { tmpdir } from "node:os";

const bin = join(process.env.MUSTER_BIN_DIR, "muster");
export const administrator = { email: "admin@example.com", password: "correct horse battery" };

export class Muster {
  /** Starts a server on free ports and waits until it is ready. `directory` is made when not given, and removed by stop(). */
  static async start({ directory, config = "", host = "127.0.0.1" } = {}) {
    const server = new Muster();
    server.directory = directory ?? mkdtempSync(join(tmpdir(), "muster-conformance-"));
    const configFile = join(server.directory, "muster.toml");
    writeFileSync(configFile, config || "# defaults\n");
    server.child = spawn(bin, ["serve", "--data", server.directory, "--listen", `${host}:0`, "--listen-tls", `${host}:0`, "--config", configFile],
      { stdio: ["ignore", "pipe", "pipe"] });
    server.log = "";
    server.child.stderr.on("data", (text) => { server.log += text; });
    server.exited = new Promise((resolve) => server.child.once("exit", (code, signal) => resolve({ code, signal })));
    const ready = new Promise((resolve) => {
      createInterface({ input: server.child.stdout }).on("line", (line) => {
        const event = JSON.parse(line);
        if (event.event === "ready") resolve(event);
      });
    });
    const timeout = new Promise((_, reject) => setTimeout(() => reject(new Error(`not ready: ${server.log}`)), 30_000).unref());
    server.ready = await Promise.race([ready, timeout, server.exited.then((e) => { throw new Error(`ended ${JSON.stringify(e)}: ${server.log}`); })]);
    server.http = new URL(server.ready.http);
    server.https = new URL(server.ready.https);
    return server;
  }

  /** One request of the platform API; throws unless the status is as expected. */
  async api(method, path, body, expected = [200, 201, 204]) {
    const response = await fetch(new URL(path, this.http), {
      method,
      headers: { "Content-Type": "application/json", ...(this.accessToken ? { Authorization: `Bearer ${this.accessToken}` } : {}) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (![expected].flat().includes(response.status)) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  }

  /** The device API answers bare text. */
  async external(path) {
    const response = await fetch(new URL(`/external/api/${path}`, this.http));
    return { status: response.status, text: await response.text() };
  }

  async setUp() {
    const answer = await this.api("POST", "/api/v1/setup", { code: this.ready.setup_code, ...administrator });
    this.accessToken = answer.accessToken;
    return answer;
  }

  async signIn() {
    this.accessToken = (await this.api("POST", "/api/v1/session", administrator)).accessToken;
  }

  async newDevice(name = "Lamp") {
    this.template ??= await this.api("POST", "/api/v1/template/create", { name: "Lamps" });
    return this.api("POST", "/api/v1/organization/device/create", { templateId: this.template.templateId, name });
  }

  get caFile() { return join(this.directory, "tls", "ca.crt"); }
  get ca() { return readFileSync(this.caFile); }

  async stop({ keep = false } = {}) {
    this.child.kill("SIGTERM");
    const result = await this.exited;
    if (!keep) rmSync(this.directory, { recursive: true, force: true });
    return result;
  }
}

/** Resolves with the arguments of the emitter's next `name` event, or rejects after `ms`. */
export function next(emitter, name, ms = 5_000) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no "${name}" within ${ms} ms`)), ms);
    emitter.once(name, (...args) => { clearTimeout(timer); resolve(args); });
  });
}

/** Asks until `check` answers something true, or throws after `ms`. */
export async function eventually(check, ms = 5_000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${check}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
