#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Says what is wrong with openapi.yaml as a contract: no YAML, dangling references, operations without summary, permission or error answers,
path parameters that nobody declares, aliases that name no path. Exit 0: nothing."""
import sys

import yaml

METHODS = {"get", "put", "post", "delete", "patch", "head", "options"}


def main(path: str) -> int:
    with open(path, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    problems = []

    def follow(node, where):
        if isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str):
                target = document
                for part in reference.removeprefix("#/").split("/"):
                    target = target.get(part) if isinstance(target, dict) else None
                if target is None:
                    problems.append(f"{where}: {reference} leads nowhere")
            for key, value in node.items():
                follow(value, f"{where}.{key}")
        elif isinstance(node, list):
            for index, value in enumerate(node):
                follow(value, f"{where}[{index}]")

    follow(document, "")
    for key in ("openapi", "info", "paths", "components"):
        if key not in document:
            problems.append(f"{key} is missing")
    count = 0
    for route, item in document["paths"].items():
        if not route.startswith("/") or route.count("{") > 1 or ("{" in route and "/{id}" not in route):
            problems.append(f"{route}: paths are absolute; ids go into the query, or one into the path as {{id}}")
        for method, operation in item.items():
            if method.startswith("x-"):
                continue
            if method not in METHODS:
                problems.append(f"{route}: {method} is no method")
                continue
            count += 1
            where = f"{method.upper()} {route}"
            for key in ("summary", "x-permission", "responses"):
                if key not in operation:
                    problems.append(f"{where}: no {key}")
            if route.startswith("/api/v1/") and "default" not in operation.get("responses", {}):
                problems.append(f"{where}: no default (error) response")
            if (operation.get("x-permission") == "public") != (operation.get("security") == []) and route not in ("/api/v1/stream", "/websockets"):
                problems.append(f"{where}: public and security do not fit")
            if method == "post" and route.startswith("/api/v1/") and "requestBody" not in operation:
                problems.append(f"{where}: no requestBody")
        if "x-alias" in item:
            known = [each for each in document["x-aliases"] if route.startswith(each["prefix"])]
            if not any(item["x-alias"] == each["alias"] + route[len(each["prefix"]):] for each in known):
                problems.append(f"{route}: x-alias does not follow from x-aliases")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{count} operations, {len(problems)} problems")
    return 1 if problems or count < 50 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
