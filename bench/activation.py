# SPDX-License-Identifier: Apache-2.0
"""Devices that become active one after another over the simulated air: `muster serve`, `muster-agent` and `muster provision` as they ship."""
import json
import os
import signal
import subprocess
import time
import urllib.request


def api(base, method, path, body=None, token=None):
    request = urllib.request.Request(base + "/api/v1/" + path, method=method, data=json.dumps(body).encode() if body is not None else None,
                                     headers={"Content-Type": "application/json", **({"Authorization": "Bearer " + token} if token else {})})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def wait_until(what, seconds):
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def activate(programs, work, ready, ca_file, count):
    """Milliseconds from the token's request to the first value, by the cloud's own trace, of those of `count` devices that became active.
    Nothing is taken off: also the 200 ms in which a device lets its answer out before it leaves for the new network are in it."""
    base = ready["http"].rstrip("/")
    access = api(base, "POST", "setup", {"code": ready["setup_code"], "email": "bench@example.com", "password": "a long password"})["accessToken"]
    template = api(base, "POST", "template/create", {"name": "Lamp"}, access)["templateIds"][0]
    environment = dict(os.environ, XDG_CONFIG_HOME=str(work), MUSTER_URL=base, MUSTER_TOKEN=access)
    for i in range(count):
        air, log = f"sim:{work}/air", work / "agent.log"
        with open(log, "wb") as out:
            agent = subprocess.Popen([str(programs / "muster-agent"), "--store", str(work / f"device-{i}"), "--template", template,
                                      "--template-name", "Lamp", "--radio", air, "--ca", str(ca_file), "--json"],
                                     stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            wait_until(lambda: b"setup_opened" in log.read_bytes(), 10)
            subprocess.run([str(programs / "muster"), "provision", "--radio", air, "--ssid", "Muster Home", "--template", template,
                            "--password-stdin", "--json"], input=b"muster-home\n", env=environment, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, timeout=120, check=False)
            wait_until(lambda: b'"step":"stored"' in log.read_bytes(), 5)
        finally:
            agent.send_signal(signal.SIGTERM)
            agent.wait(20)
    sessions = api(base, "GET", "provision/sessions?size=1000", token=access)["content"]
    return [one["firstValueAt"] - one["createdAt"] for one in sessions if one["firstValueAt"]]
