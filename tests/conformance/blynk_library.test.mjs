// SPDX-License-Identifier: Apache-2.0
// The real, unmodified `blynk-library` of npm becomes active, over plain TCP, TLS and WebSocket.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { after, before, describe, test } from "node:test";
import { Muster, eventually, next } from "../node/muster.mjs";

const require = createRequire(process.env.SUITE_MODULES);
const Blynk = require("blynk-library");
const browser = (() => {
  globalThis.window = { WebSocket: require("ws") };  // What the browser's client expects to find.
  globalThis.WebSocket = window.WebSocket;
  const client = require("blynk-library/blynk-browser.js");
  delete globalThis.window;
  return client;
})();
console.log = () => {};  // The library talks a lot.
console.error = () => {};

let server;
const open = [];

/** A client of the library over `transport`, with its events collected. */
function client(token, transport, target = server) {
  const connector = {
    tcp: () => new Blynk.TcpClient({ addr: target.http.hostname, port: Number(target.http.port) }),
    tls: () => new Blynk.SslClient({ addr: target.https.hostname, port: Number(target.https.port), servername: "localhost", ca: [target.caFile] }),
    websocket: () => new browser.WsClient({ addr: target.http.hostname, port: Number(target.http.port), path: "/websockets" }),
  }[transport]();
  const blynk = new Blynk.Blynk(token, { connector });
  blynk.errors = [];
  blynk.on("error", (error) => blynk.errors.push(error));
  open.push(blynk);
  return blynk;
}

/** Ends a client for good: the library reconnects by itself otherwise. */
function close(blynk) {
  blynk.connect = () => {};
  clearInterval(blynk.timerConn);
  blynk.timerConn = null;
  blynk.disconnect(false);
}

/** A new server on the same data. */
async function restart(directory) {
  const { template } = server;
  server = await Muster.start({ directory });
  server.template = template;
  await server.signIn();
}

before(async () => {
  server = await Muster.start();
  await server.setUp();
});
after(async () => {
  open.forEach(close);
  await server.stop();
});

for (const transport of ["tcp", "tls", "websocket"]) {
  describe(`over ${transport}`, () => {
    let device, blynk;
    before(async () => {
      device = await server.newDevice(`Lamp ${transport}`);
    });
    after(() => close(blynk));

    test("logs in and is online", async () => {
      assert.equal((await server.external(`isHardwareConnected?token=${device.token}`)).text, "false");
      blynk = client(device.token, transport);
      await next(blynk, "connect");
      await eventually(async () => (await server.external(`isHardwareConnected?token=${device.token}`)).text === "true");
    });

    test("a write is stored", async () => {
      blynk.virtualWrite(1, 42);
      await eventually(async () => (await server.external(`get?token=${device.token}&v1`)).text === "42");
      blynk.virtualWrite(2, ["13.4", "52.5"]);
      await eventually(async () => (await server.external(`get?token=${device.token}&v2`)).status === 200);
    });

    test("a sync of one pin answers what HTTP wrote", async () => {
      assert.equal((await server.external(`update?token=${device.token}&v5=hello`)).status, 200);
      const pin = new blynk.VirtualPin(5);
      const written = next(pin, "write");
      blynk.syncVirtual(5);
      assert.deepEqual(await written, [["hello"]]);
    });

    test("an update by HTTP is pushed", async () => {
      const pin = new blynk.VirtualPin(6);
      const written = next(pin, "write");
      const answer = await server.external(`update?token=${device.token}&v6=17`);
      assert.deepEqual(answer, { status: 200, text: "" });
      assert.deepEqual(await written, [["17"]]);
    });

    test("pings are answered and the session stays", async () => {
      const answered = new Promise((resolve) => blynk.conn.on("data", (data) => { if (data.startsWith("\0\x12\x34\0\xc8")) resolve(); }));
      blynk.sendMsg(6, undefined, 0x1234);
      await answered;
      assert.equal((await server.external(`isHardwareConnected?token=${device.token}`)).text, "true");
      assert.deepEqual(blynk.errors, []);
    });
  });
}

test("a wrong token hears that it is invalid, and nothing else", async () => {
  const blynk = client("x".repeat(32), "tcp");
  const [error] = await next(blynk, "error");
  assert.equal(error, "INVALID_TOKEN");
  close(blynk);
});

test("a regenerated token replaces the old one, whose session ends", async () => {
  const device = await server.newDevice("Rotated");
  const blynk = client(device.token, "tcp");
  await next(blynk, "connect");
  const disconnected = next(blynk, "disconnect", 2_000);
  const { token } = await server.api("PUT", "/api/v1/organization/device/token", { deviceId: device.id });
  await disconnected;
  close(blynk);
  assert.notEqual(token, device.token);
  const refused = client(device.token, "tcp");
  assert.deepEqual(await next(refused, "error"), ["INVALID_TOKEN"]);
  close(refused);
  const renewed = client(token, "tcp");
  await next(renewed, "connect");
  close(renewed);
});

test("the newest login wins", async () => {
  const device = await server.newDevice("Twice");
  const first = client(device.token, "tcp");
  await next(first, "connect");
  const ended = next(first, "disconnect", 2_000);
  const second = client(device.token, "tcp");
  await next(second, "connect");
  await ended;
  close(first);
  assert.equal((await server.external(`isHardwareConnected?token=${device.token}`)).text, "true");
  close(second);
});

test("values and sessions survive a restart", async () => {
  const device = await server.newDevice("Restarted");
  const blynk = client(device.token, "tcp");
  await next(blynk, "connect");
  blynk.virtualWrite(9, "kept");
  await eventually(async () => (await server.external(`get?token=${device.token}&v9`)).text === "kept");
  close(blynk);
  const directory = server.directory;
  const { code } = await server.stop({ keep: true });
  assert.equal(code, 0);
  await restart(directory);
  assert.equal(server.ready.setup_code, undefined);
  assert.equal((await server.external(`get?token=${device.token}&v9`)).text, "kept");
  const again = client(device.token, "tcp");
  await next(again, "connect");
  close(again);
});

test("a device whose home is elsewhere is redirected there, by the port of its transport", async () => {
  const device = await server.newDevice("Emigrant");
  // The other node knows the device: it starts on a copy of this one's data.
  const directory = server.directory;
  await server.stop({ keep: true });
  const copy = mkdtempSync(join(tmpdir(), "muster-conformance-"));
  execFileSync("cp", ["-a", `${directory}/.`, copy]);  // With modes: the server refuses keys that others may read.
  await restart(directory);
  const home = await Muster.start({ directory: copy, host: "127.0.0.2" });
  try {
    await server.api("PUT", "/api/v1/organization/device/home",
      { deviceId: device.id, host: "127.0.0.2", portPlain: Number(home.http.port), portTls: Number(home.https.port) });
    for (const transport of ["tcp", "tls"]) {
      const blynk = client(device.token, transport);
      await next(blynk, "connect", 15_000);  // The library follows at its next tick, 10 s later.
      assert.equal(blynk.conn.addr, "127.0.0.2");
      assert.equal(blynk.conn.port, Number(transport === "tcp" ? home.http.port : home.https.port));
      assert.equal((await home.external(`isHardwareConnected?token=${device.token}`)).text, "true");
      close(blynk);
    }
    const answer = await fetch(new URL(`/external/api/get?token=${device.token}&v1`, server.http), { redirect: "manual" });
    assert.equal(answer.status, 308);
    assert.match(answer.headers.get("location"), /^https:\/\/127\.0\.0\.2.*\/external\/api\/get\?token=.*&v1$/);
  } finally {
    await home.stop();
  }
});
