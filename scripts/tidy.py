#!/usr/bin/env python3
"""The fast half of `make lint`: who may include whom, and how big things may grow.

The layers are written once, as encke_layer(name DEPS ...) in CMakeLists.txt, and read from there.
Every complaint is one line, file:line: what is wrong and what to do about it.  Half a second.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# A library is named in one folder only, so that it can be replaced by editing one folder; JSON is
# read in two: tokens, and the API's bodies.
HOMES = {
    "libwebsockets.h": "web",
    "sys/epoll.h": "net",
    "openssl/ssl.h": "net",
    "hiredis/": "store",
    "nats/": "bus",
    "nats.h": "bus",
    "grpcpp/": "rpc",
    "yaml-cpp/": "base",
    "spdlog/": "base",
    "curl/": "webhook",
    "nlohmann/": ("auth", "native"),
}
# Words that are refused outside base, and what to say instead.
REPLACED = {
    "std::mutex": "Guarded<T>, Gate or Pulse of base/threads.h",
    "std::condition_variable": "Gate or Pulse of base/threads.h",
    "sleep_for(": "a loop's timer",
    "[=]": "a list of captures",
}
LINES = 400
COLUMNS = 100
FILES = 12
# Where more is right: base is ten words that need nobody, and bus all that NATS keeps.
FILES_IN = {"internal/bus": 14, "internal/base": 17}  # only ever lowered
DRAWERS = {"util", "utils", "common", "misc", "helper", "helpers"}
CPP = {".h", ".cc"}
TEXT = CPP | {".py", ".sh", ".js", ".mjs", ".proto", ".cmake"}
TOPS = ("api", "bench", "clients", "cmd", "configs", "internal", "scripts", "tests")
SKIP = {"node_modules", "__pycache__", "build", "run"}

LAYER_LINE = re.compile(r"^encke_layer\((\w+)([^)]*)\)", re.M)
INCLUDE = re.compile(r'\s*#\s*include\s+([<"])([^>"]+)')
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")

complaints = []


def complain(path, line, text):
    complaints.append(f"{path.relative_to(ROOT)}:{line}: {text}")


def read_layers(cmake):
    """{layer: set of the layers it may include}."""
    layers = {}
    for name, arguments in LAYER_LINE.findall(cmake):
        words = arguments.split()
        deps = words[words.index("DEPS") + 1:] if "DEPS" in words else []
        if "LIBS" in deps:
            deps = deps[:deps.index("LIBS")]
        layers[name] = set(deps)
    return layers


def check_include(path, n, layer, allowed, quote, name):
    folder = name.split("/")[0]
    if quote == '"':
        if "/" not in name:
            complain(path, n, f'say the folder too: "{layer}/{name}"')
        elif folder not in allowed:
            complain(path, n, f"{layer} may not include {folder}/ (encke_layer in CMakeLists.txt)")
    for library, home in HOMES.items():
        homes = home if isinstance(home, tuple) else (home,)
        if name.startswith(library) and layer not in homes:
            complain(path, n, f"<{name}> may be named in internal/{homes[0]}/ only")


def check_words(path, n, layer, code):
    if layer == "base":
        return
    for word, instead in REPLACED.items():
        if word in code:
            complain(path, n, f"{word} is refused here: use {instead}")


def check_contract(path, text):
    """A header says what it is, who owns it, on which thread it lives and what bounds it."""
    head = "\n".join(text.splitlines()[:60])
    for word in ("Owner", "Thread", "Limit"):
        if not re.search(rf"^// {word}\s", head, re.M):
            complain(path, 1, f"the contract on top has no line '// {word}'")


def check_cpp(path, text, layers):
    parts = path.relative_to(ROOT).parts
    layer = parts[1] if parts[0] in ("internal", "cmd") else None
    allowed = layers.get(layer, set()) | {layer}
    if path.suffix == ".h":
        if not text.startswith("#pragma once\n"):
            complain(path, 1, "a header starts with #pragma once")
        if parts[0] == "internal":
            check_contract(path, text)
    for n, line in enumerate(text.splitlines(), 1):
        include = INCLUDE.match(line)
        if layer and include:
            check_include(path, n, layer, allowed, include[1], include[2])
        elif parts[0] == "internal":
            check_words(path, n, layer, line.split("//")[0])


def check_text(path, text):
    lines = text.splitlines()
    if len(lines) > LINES:
        complain(path, LINES, f"{len(lines)} lines, the limit is {LINES}: find the seam and split")
    for n, line in enumerate(lines, 1):
        if len(line) > COLUMNS and "://" not in line:
            complain(path, n, f"{len(line)} columns, the limit is {COLUMNS}")
        if UNFINISHED.search(line) and path != Path(__file__).resolve():
            complain(path, n, "finish it now, or open an issue")
        if line != line.rstrip():
            complain(path, n, "blanks at the end of the line")


def check_folder(path, layers):
    where = str(path.relative_to(ROOT))
    count = sum(file.suffix in CPP for file in path.iterdir())
    limit = FILES_IN.get(where, FILES)
    if count > limit:
        complain(path, 0, f"{count} files, the limit is {limit}: a second idea lives here")
    if path.name in DRAWERS:
        complain(path, 0, "no drawers: give things the folder of their noun")
    if path.parent == ROOT / "internal" and path.name not in layers:
        complain(path, 0, "not a layer: write its encke_layer line, or move its files")


def walk(folder):
    for path in sorted(folder.iterdir()):
        if path.name in SKIP:
            continue
        yield path
        if path.is_dir():
            yield from walk(path)


def main():
    layers = read_layers((ROOT / "CMakeLists.txt").read_text())
    if not layers:
        sys.exit("tidy: CMakeLists.txt has no encke_layer lines")
    for top in TOPS:
        for path in walk(ROOT / top) if (ROOT / top).is_dir() else ():
            if path.is_dir():
                check_folder(path, layers)
            elif path.suffix in TEXT:
                text = path.read_text()
                check_text(path, text)
                if path.suffix in CPP:
                    check_cpp(path, text, layers)
    print("\n".join(complaints) or "tidy: clean")
    sys.exit(bool(complaints))


if __name__ == "__main__":
    main()
