"""A Hugging Face Hub in memory, for tests: the HTTP protocol that `huggingface_hub` speaks, on a local port.

Repositories hold immutable commits; files that the Hub keeps in LFS go to a "CDN" (the same server by another name,
so that clients take it for a stranger and must not send it the token). It can damage transfers, and keeps all
requests. Not here: pages of long listings, Xet, the dataset viewer.
"""

import base64
import hashlib
import json
import re
import secrets
import socket
import threading
import traceback
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

USER = "me"
LFS_ENDINGS = (".safetensors", ".bin", ".parquet", ".pt", ".arrow")
LFS_SIZE = 1_000_000
FIRST_FILES = {".gitattributes": "".join(f"*{end} filter=lfs diff=lfs merge=lfs -text\n" for end in LFS_ENDINGS)}


class HubError(Exception):
    """An answer other than success, as the Hub words it in its headers."""

    def __init__(self, status: int, message: str, code: str | None = None, headers: dict | None = None):
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers or {}


class Interrupted(Exception):
    """The connection is to be dropped here."""


class Request(NamedTuple):
    """A request as it came; `path` includes the query, header names are in lower case."""

    method: str
    host: str
    path: str
    headers: dict[str, str]
    body: bytes


class File(NamedTuple):
    """A file of a commit: its content, or the name and size of its LFS object."""

    content: bytes
    sha256: str | None = None
    size: int = 0

    @classmethod
    def regular(cls, content: bytes) -> "File":
        return cls(content, None, len(content))

    @classmethod
    def lfs(cls, sha256: str, size: int) -> "File":
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
        return cls(pointer.encode(), sha256, size)

    @property
    def oid(self) -> str:
        """What git calls it."""
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()


class Commit(NamedTuple):
    id: str
    parent: str | None
    title: str
    date: str
    files: dict[str, File]


class Damage(NamedTuple):
    """What happens to downloads of a file: a byte is flipped, or it ends early.

    `cut` drops the connection at that byte, `times` times; `short` has the server state and send that length.
    """

    flip: int | None = None
    cut: int | None = None
    short: int | None = None
    times: float = float("inf")


class Repository:
    """Branches and tags -> commits -> files; LFS objects by SHA-256."""

    def __init__(self, kind: str, id: str, private: bool):
        self.kind, self.id, self.private = kind, id, private
        self.commits: dict[str, Commit] = {}
        self.branches: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.objects: dict[str, bytes] = {}
        self.damages: dict[str, Damage] = {}
        first = {path: File.regular(content.encode()) for path, content in FIRST_FILES.items()}
        self.commit("main", "initial commit", first)

    def commit(self, branch: str, title: str, files: dict[str, File]) -> Commit:
        """Put a new state of all files on a branch."""
        parent = self.branches.get(branch)
        state = [parent, title, len(self.commits), *((path, files[path].oid) for path in sorted(files))]
        id = hashlib.sha1(json.dumps(state).encode()).hexdigest()
        date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        self.commits[id] = Commit(id, parent, title, date, files)
        self.branches[branch] = id
        return self.commits[id]

    def at(self, revision: str) -> Commit:
        """The commit that a branch, tag or commit id names."""
        name = revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        id = self.branches.get(name) or self.tags.get(name) or revision
        if id not in self.commits:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[id]

    def history(self, revision: str = "main") -> list[Commit]:
        """The commits behind a revision, newest first."""
        commits = [self.at(revision)]
        while commits[-1].parent is not None:
            commits.append(self.commits[commits[-1].parent])
        return commits

    def read(self, path: str, revision: str = "main") -> bytes:
        """A file's bytes."""
        file = self.at(revision).files[path]
        return file.content if file.sha256 is None else self.objects[file.sha256]

    def add_folder(self, folder: Path, branch: str = "main") -> Commit:
        """Commit a folder's files without a client."""
        files = dict(self.commits[self.branches[branch]].files)
        for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            content, name = path.read_bytes(), path.relative_to(folder).as_posix()
            files[name] = File.regular(content)
            if is_lfs(name, len(content)):
                sha256 = hashlib.sha256(content).hexdigest()
                self.objects[sha256], files[name] = content, File.lfs(sha256, len(content))
        return self.commit(branch, f"add {Path(folder).name}", files)

    def damage(self, path: str, **how) -> None:
        """Damage all downloads of an LFS file from now on: see `Damage`."""
        self.damages[self.at("main").files[path].sha256] = Damage(**how)


def is_lfs(path: str, size: int) -> bool:
    return path.endswith(LFS_ENDINGS) or size > LFS_SIZE


class HubServer(ThreadingHTTPServer):
    """The Hub: `with HubServer() as hub:` serves at `hub.url` until the block ends."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.cdn = f"http://localhost:{self.server_port}"
        self.token = f"hf_{secrets.token_hex(17)}"
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.requests: list[Request] = []
        self.errors: list[str] = []
        self.lock = threading.RLock()
        self._secret = secrets.token_hex(16)
        self._uploads_to_fail, self._fail_after = 0.0, 0

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.shutdown()
        self.server_close()

    def create(self, id: str, kind: str = "models", private: bool = False) -> Repository:
        """A new repository with one commit."""
        with self.lock:
            if (kind, id) in self.repositories:
                raise HubError(409, f"You already created this {kind[:-1]} repo: {id}")
            return self.repositories.setdefault((kind, id), Repository(kind, id, private))

    def repository(self, id: str, kind: str = "models") -> Repository:
        return self.repositories[kind, id]

    def fail_after_bytes(self, count: int, times: float = float("inf")) -> None:
        """Drop the connection of the next LFS uploads once that many bytes have come; `times=0` stops that."""
        self._fail_after, self._uploads_to_fail = count, times

    def upload_limit(self) -> int | None:
        """How many bytes of the upload that begins now are taken, None for all."""
        with self.lock:
            if self._uploads_to_fail <= 0:
                return None
            self._uploads_to_fail -= 1
            return self._fail_after

    def signature(self, method: str, path: str) -> str:
        """What makes a CDN address valid for one method, in place of a token."""
        return hashlib.sha256(f"{self._secret} {method} {path}".encode()).hexdigest()[:16]

    def signed(self, method: str, path: str) -> str:
        return f"{self.cdn}{path}?signature={self.signature(method, path)}"

    def places_with(self, secret: str) -> list[str]:
        """Where a secret went that should only have been in Authorization headers, sent to the Hub itself."""
        sought, places = secret.encode(), []
        for (_, id), repo in self.repositories.items():
            places += [f"{id}: object {name}" for name, content in repo.objects.items() if sought in content]
            for commit in repo.commits.values():
                places += [f"{id}: {path}" for path, file in commit.files.items() if sought in file.content]
                places += [f"{id}: {commit.id}"] * (secret in commit.title)
        for request in self.requests:
            kept = {k: v for k, v in request.headers.items() if k != "authorization" or request.host != self.url[7:]}
            if secret in unquote(request.path) or sought in request.body or secret in json.dumps(kept):
                places.append(f"{request.method} {request.path}")
        return places

    def handle_error(self, request, client_address):
        """Connections that a client gave up are no error of the server's."""


ROUTES: list[tuple[str, re.Pattern, str]] = []
_PARTS = {
    "{kind}": "(?P<kind>models|datasets|spaces)",
    "{dataset}": "(?:(?P<kind>datasets|spaces)/)?",
    "{repo}": "(?P<id>[^/]+/[^/]+)",
    "{revision}": "(?P<revision>[^/]+)",
    "{name}": "(?P<name>[^/]+)",
    "{sha256}": "(?P<sha256>[0-9a-f]{64})",
    "{path}": "(?P<path>.+)",
}


def route(methods: str, pattern: str):
    """Have the method answer requests of that form; its arguments are the parts of the address, unquoted."""
    for part, regex in _PARTS.items():
        pattern = pattern.replace(part, regex)

    def register(function):
        ROUTES.extend((method, re.compile(pattern), function.__name__) for method in methods.split())
        return function

    return register


class Handler(BaseHTTPRequestHandler):
    """One connection. Handlers return JSON-able data, or `None` when they answered themselves."""

    server: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        try:
            is_upload = self.command == "PUT"
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.body = b""
            try:
                self.body = self._read_body(self.server.upload_limit() if is_upload else None)
            finally:
                body, host = b"" if is_upload else self.body, headers.get("host", "")
                self.server.requests.append(Request(self.command, host, self.path, headers, body))
            for method, pattern, name in ROUTES:
                if method == self.command and (match := pattern.fullmatch(url.path)):
                    parts = {k: unquote(v) for k, v in match.groupdict().items() if v is not None}
                    answer = getattr(self, name)(**parts)
                    break
            else:
                raise HubError(404, f"Cannot {self.command} {url.path}")
            if answer is not None:
                self._send(200, json.dumps(answer, default=str).encode())
        except HubError as error:
            extra = {"X-Error-Message": str(error), **({"X-Error-Code": error.code} if error.code else {})}
            self._send(error.status, json.dumps({"error": str(error)}).encode(), {**extra, **error.headers})
        except Interrupted:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        except ConnectionError:
            self.close_connection = True
        except Exception:
            self.server.errors.append(traceback.format_exc())
            self._send(500, b'{"error": "the test server failed"}')

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _read_body(self, limit: int | None) -> bytes:
        """The body; at most `limit` bytes of it, then the connection breaks."""
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length if limit is None else min(limit, length))
        if len(body) < length:
            raise Interrupted
        return body

    def _send(self, status: int, content: bytes, headers: dict | None = None, cut: int | None = None) -> None:
        headers = {"Content-Type": "application/json", "Content-Length": len(content), **(headers or {})}
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:cut])
            if cut is not None:
                raise Interrupted

    def _send_file(self, content: bytes, headers: dict, cut: int | None = None) -> None:
        """The bytes, or the range of them that is asked for."""
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", **headers}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            return self._send(200, content, headers, cut)
        start, end = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
        if start >= len(content):
            return self._send(416, b"", {**headers, "Content-Range": f"bytes */{len(content)}"})
        headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        return self._send(206, content[start : end + 1], headers, None if cut is None else max(cut - start, 0))

    # --- who may do what ---------------------------------------------------------------------------

    def _is_user(self) -> bool:
        sent = self.headers.get("Authorization")
        if sent not in (None, f"Bearer {self.server.token}"):
            raise HubError(401, "Invalid credentials in Authorization header")
        return sent is not None

    def _require_user(self) -> None:
        if not self._is_user():
            raise HubError(401, "Invalid username or password.")

    def _repository(self, id: str, kind: str, write: bool = False) -> Repository:
        repo, is_user = self.server.repositories.get((kind, id)), self._is_user()
        if repo is None or (repo.private and not is_user):  # strangers cannot tell the two
            raise HubError(404 if is_user else 401, "Repository not found", "RepoNotFound")
        if write:
            self._require_user()
        return repo

    # --- users and repositories --------------------------------------------------------------------

    @route("GET", "/api/whoami-v2")
    def whoami(self):
        self._require_user()
        return {"type": "user", "name": USER, "orgs": [], "auth": {"accessToken": {"role": "write"}}}

    @route("POST", "/api/validate-yaml")
    def validate_yaml(self):
        try:
            card_data(json.loads(self.body)["content"])
        except yaml.YAMLError as error:
            self._send(400, json.dumps({"errors": [{"message": str(error)}], "warnings": []}).encode())
            return None
        return {"errors": [], "warnings": []}

    @route("POST", "/api/repos/create")
    def create_repo(self):
        self._require_user()
        kind, id, body = self._named_in_body()
        private = bool(body.get("private")) or body.get("visibility") == "private"
        url = f"{self.server.url}/{id}" if kind == "models" else f"{self.server.url}/{kind}/{id}"
        try:
            self.server.create(id, kind, private)
        except HubError as error:  # the client reads the address from this answer too
            self._send(error.status, json.dumps({"error": str(error), "url": url}).encode())
            return None
        return {"url": url, "name": id, "private": private}

    @route("DELETE", "/api/repos/delete")
    def delete_repo(self):
        kind, id, _ = self._named_in_body()
        del self.server.repositories[kind, self._repository(id, kind, write=True).id]
        return {}

    def _named_in_body(self) -> tuple[str, str, dict]:
        body = json.loads(self.body)
        owner = body.get("organization") or USER
        if owner != USER:
            raise HubError(403, f'You don\'t have the rights to create or delete under the namespace "{owner}"')
        return f"{body.get('type') or 'model'}s", f"{owner}/{body['name']}", body

    @route("GET", "/api/{kind}/{repo}")
    @route("GET", "/api/{kind}/{repo}/revision/{revision}")
    def info(self, kind, id, revision="main"):
        repo = self._repository(id, kind)
        commit = repo.at(revision)
        card = card_data(commit.files["README.md"].content.decode()) if "README.md" in commit.files else {}
        siblings = [{"rfilename": path} for path in sorted(commit.files)]
        if self.query.get("blobs"):
            for sibling in siblings:
                file = commit.files[sibling["rfilename"]]
                sibling.update(size=file.size, blobId=file.oid)
                if file.sha256:
                    sibling["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": len(file.content)}
        return {
            **{"id": id, "author": USER, "sha": commit.id, "private": repo.private, "gated": False, "disabled": False},
            **{"lastModified": commit.date, "createdAt": repo.history()[-1].date, "downloads": 0, "likes": 0},
            **{"tags": card.get("tags") or [], "cardData": card, "siblings": siblings},
            **{name: card[name] for name in ("library_name", "pipeline_tag", "model-index") if name in card},
        }

    # --- revisions ---------------------------------------------------------------------------------

    @route("GET", "/api/{kind}/{repo}/refs")
    def refs(self, kind, id):
        repo = self._repository(id, kind)
        found = {"branches": [], "tags": [], "converts": [], "pullRequests": []}
        for name, target in repo.branches.items():
            is_pr = name.startswith("refs/pr/")
            ref = {"name": name, "ref": name if is_pr else f"refs/heads/{name}", "targetCommit": target}
            found["pullRequests" if is_pr else "branches"].append(ref)
        for name, target in repo.tags.items():
            found["tags"].append({"name": name, "ref": f"refs/tags/{name}", "targetCommit": target})
        return found

    @route("GET", "/api/{kind}/{repo}/commits/{revision}")
    def commits(self, kind, id, revision):
        commits = self._repository(id, kind).history(revision)
        return [{"id": c.id, "title": c.title, "message": "", "date": c.date, "authors": []} for c in commits]

    @route("POST DELETE", "/api/{kind}/{repo}/branch/{name}")
    def branch(self, kind, id, name):
        repo = self._repository(id, kind, write=True)
        start = json.loads(self.body or b"{}").get("startingPoint") or "main"
        return self._change_ref(repo, repo.branches, name, start)

    @route("POST DELETE", "/api/{kind}/{repo}/tag/{name}")
    def tag(self, kind, id, name):  # a new tag's name is in the body, and its target in the address
        repo = self._repository(id, kind, write=True)
        return self._change_ref(repo, repo.tags, json.loads(self.body or b"{}").get("tag", name), name)

    def _change_ref(self, repo: Repository, refs: dict[str, str], name: str, target: str):
        with self.server.lock:
            if self.command == "DELETE":
                refs.pop(name, None)
            elif name in refs:
                raise HubError(409, f"Reference already exists: {name}")
            else:
                refs[name] = repo.at(target).id
        return {}

    # --- writing -----------------------------------------------------------------------------------

    @route("POST", "/api/{kind}/{repo}/preupload/{revision}")
    def preupload(self, kind, id, revision):
        present = self._repository(id, kind, write=True).at(revision).files
        files = []
        for asked in json.loads(self.body)["files"]:
            path, old = asked["path"], present.get(asked["path"])
            mode = "lfs" if is_lfs(path, asked["size"]) else "regular"
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False})
            files[-1]["oid"] = old and (old.sha256 or old.oid)
        return {"files": files}

    @route("POST", r"/{dataset}{repo}\.git/info/lfs/objects/batch")
    def lfs_batch(self, id, kind="models"):
        repo = self._repository(id, kind, write=True)
        objects = []
        for asked in json.loads(self.body)["objects"]:
            objects.append({"oid": asked["oid"], "size": asked["size"]})
            if asked["oid"] not in repo.objects:
                path = f"/cdn/{kind}/{id}/{asked['oid']}/{asked['size']}"
                verify = f"{self.server.url}/api/lfs-verify/{kind}/{id}"
                actions = {"upload": {"href": self.server.signed("PUT", path)}, "verify": {"href": verify}}
                objects[-1]["actions"] = actions
        return {"transfer": "basic", "objects": objects}

    @route("PUT", r"/cdn/{kind}/{repo}/{sha256}/(?P<size>\d+)")
    def lfs_upload(self, kind, id, sha256, size):
        self._check_signature()
        if len(self.body) != int(size) or hashlib.sha256(self.body).hexdigest() != sha256:
            raise HubError(400, "The content does not match the size or the sha256 that was announced")
        self.server.repository(id, kind).objects[sha256] = self.body
        return {}

    @route("POST", "/api/lfs-verify/{kind}/{repo}")
    def lfs_verify(self, kind, id):
        asked = json.loads(self.body)
        content = self._repository(id, kind, write=True).objects.get(asked["oid"])
        if content is None or len(content) != asked["size"]:
            raise HubError(422, f"LFS object {asked['oid']} was not uploaded")
        return {}

    @route("POST", "/api/{kind}/{repo}/commit/{revision}")
    def commit(self, kind, id, revision):
        repo = self._repository(id, kind, write=True)
        operations = [json.loads(line) for line in self.body.splitlines() if line.strip()]
        header = operations[0]["value"]
        with self.server.lock:
            branch, answer = revision.removeprefix("refs/heads/"), {"success": True}
            if branch not in repo.branches:
                raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
            if header.get("parentCommit", repo.branches[branch]) != repo.branches[branch]:
                raise HubError(412, "A commit has happened since. Please refresh and try again.")
            files = dict(repo.at(branch).files)
            for operation in operations[1:]:
                _apply(operation["key"], operation["value"], files, repo.objects)
            if self.query.get("create_pr"):
                number = 1 + sum(name.startswith("refs/pr/") for name in repo.branches)
                answer["pullRequestUrl"] = f"{self.server.url}/{id}/discussions/{number}"
                repo.branches[f"refs/pr/{number}"] = repo.branches[branch]
                branch = f"refs/pr/{number}"
            commit = repo.commit(branch, header["summary"], files)
        return {**answer, "commitOid": commit.id, "commitUrl": f"{self.server.url}/{id}/commit/{commit.id}"}

    # --- reading -----------------------------------------------------------------------------------

    @route("GET", "/api/{kind}/{repo}/tree/{revision}")
    @route("GET", "/api/{kind}/{repo}/tree/{revision}/{path}")
    def tree(self, kind, id, revision, path=""):
        commit = self._repository(id, kind).at(revision)
        folder = f"{path}/" if path else ""
        entries = {}
        for name, entry in _entries(commit, expand=_is_true(self.query.get("expand"))).items():
            inside = name.startswith(folder)
            if inside and (_is_true(self.query.get("recursive")) or "/" not in name[len(folder) :]):
                entries[name] = entry
        if path and not entries:
            raise HubError(404, f"{path} does not exist on {revision}", "EntryNotFound")
        return list(entries.values())

    @route("POST", "/api/{kind}/{repo}/paths-info/{revision}")
    def paths_info(self, kind, id, revision):
        is_json = "json" in self.headers.get("Content-Type", "")
        asked = json.loads(self.body) if is_json else parse_qs(self.body.decode())
        paths, expand = asked.get("paths", []), asked.get("expand")
        entries = _entries(self._repository(id, kind).at(revision), expand=_is_true(expand))
        return [entries[path.rstrip("/")] for path in paths if path.rstrip("/") in entries]

    @route("GET HEAD", "/{dataset}{repo}/resolve/{revision}/{path}")
    def resolve(self, id, revision, path, kind="models"):
        repo = self._repository(id, kind)
        commit = repo.at(revision)
        headers = {"X-Repo-Commit": commit.id}
        file = commit.files.get(path)
        if file is None:
            raise HubError(404, "Entry not found", "EntryNotFound", headers)
        if file.sha256 is None:
            return self._send_file(file.content, {**headers, "ETag": f'"{file.oid}"'})
        headers |= {"X-Linked-Size": file.size, "X-Linked-ETag": f'"{file.sha256}"'}
        location = self.server.signed("GET", f"/cdn/{kind}/{id}/{file.sha256}")
        return self._send(302, b"", {**headers, "Location": location})

    @route("GET HEAD", "/cdn/{kind}/{repo}/{sha256}")
    def lfs_download(self, kind, id, sha256):
        self._check_signature()
        repo = self.server.repository(id, kind)
        content, damage = repo.objects[sha256], repo.damages.get(sha256, Damage())
        if damage.flip is not None:
            content = bytearray(content)
            content[damage.flip] ^= 1
        cut = damage.cut if damage.times > 0 and self.command == "GET" else None
        if cut is not None:
            repo.damages[sha256] = damage._replace(times=damage.times - 1)
        return self._send_file(content[: damage.short], {"ETag": f'"{sha256}"'}, cut)

    def _check_signature(self) -> None:
        method = "PUT" if self.command == "PUT" else "GET"
        if self.query.get("signature") != [self.server.signature(method, unquote(urlsplit(self.path).path))]:
            raise HubError(403, "Missing or wrong signature")


def _is_true(values: list | bool | None) -> bool:
    return str(values[0] if isinstance(values, list) else values).lower() in ("1", "true")


def _apply(key: str, value: dict, files: dict[str, File], objects: dict[str, bytes]) -> None:
    """One operation of a commit, on a copy of the parent's files."""
    path = value["path"].rstrip("/")
    if key == "file":
        files[path] = File.regular(base64.b64decode(value["content"]))
    elif key == "lfsFile":
        content = objects.get(value["oid"])
        if content is None or value.get("size", len(content)) != len(content):
            raise HubError(400, f"Your push was rejected because an LFS pointer points to a missing file: {path}")
        files[path] = File.lfs(value["oid"], len(content))
    elif key in ("deletedFile", "deletedFolder"):
        gone = [name for name in files if (name == path if key == "deletedFile" else name.startswith(f"{path}/"))]
        if not gone:
            raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
        for name in gone:
            del files[name]
    else:
        raise HubError(400, f"Unknown operation: {key}")


def _entries(commit: Commit, expand: bool) -> dict[str, dict]:
    """The files and folders of a commit as the Hub lists them."""
    entries: dict[str, dict] = {}
    for path, file in sorted(commit.files.items()):
        for folder in [str(parent) for parent in reversed(Path(path).parents)][1:]:
            oid = hashlib.sha1(f"{commit.id}{folder}".encode()).hexdigest()
            entries.setdefault(folder, {"type": "directory", "oid": oid, "size": 0, "path": folder})
        entries[path] = {"type": "file", "oid": file.oid, "size": file.size, "path": path}
        if file.sha256:
            entries[path]["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": len(file.content)}
    if expand:
        for entry in entries.values():
            entry["lastCommit"] = {"id": commit.id, "title": commit.title, "date": commit.date}
    return entries


def card_data(card: str) -> dict:
    """The metadata at the head of a README."""
    head = re.match(r"---\r?\n(.*?)\r?\n---(\r?\n|$)", card, re.DOTALL)
    return yaml.safe_load(head[1]) or {} if head else {}
