"""A real MediaWiki on loopback, from Debian's packages: installed in seconds, filled and changed by its own scripts."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

HOME = Path("/usr/share/mediawiki")
PACKAGES = "mediawiki php-cli php-sqlite3 php-mbstring php-xml php-intl php-gd"
SHIMS = Path(__file__).with_suffix(".php")
SETTINGS = """
$wgEnableUploads = true;
$wgUploadDirectory = "{root}/images";
$wgUploadPath = "/images";
$wgCacheDirectory = "{root}/data";
$wgFileExtensions = [ 'png', 'jpg', 'gif', 'svg', 'pdf', 'webp' ];
$wgUseImageMagick = false;
$wgSVGConverters = [ 'gd' => [ 'curateDraw' ] ];
$wgSVGConverter = 'gd';
$wgJobRunRate = 0;
$wgShowExceptionDetails = true;
$switches = "{root}/switches";
require_once "{shims}";
"""


class Wiki:
    """A wiki below `root`. `api` is its address, `host` its name and port, `log` its access log."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("data", "images", "switches", "www", "work"):
            (root / name).mkdir()
        address = f"127.99.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"  # where nobody else takes ports
        with socket.socket() as free:
            free.bind((address, 0))
            self.host = f"{address}:{free.getsockname()[1]}"
        self.api = f"http://{self.host}/api.php"
        self.log = root / "access.log"
        self.switches = root / "switches"
        self._uploaded = 0.0
        self._install()

    def _install(self) -> None:
        password = "only-for-this-test-wiki"
        self._php("install.php", "--dbtype", "sqlite", "--dbpath", f"{self.root}/data", "--dbname", "wiki",
                  "--confpath", str(self.root), "--server", f"http://{self.host}", "--scriptpath", "", "--lang", "en",
                  "--pass", password, "--skins", "Vector", "TestCommons", "Admin", configured=False)  # fmt: skip
        with (self.root / "LocalSettings.php").open("a") as settings:
            settings.write(SETTINGS.replace("{root}", str(self.root)).replace("{shims}", str(SHIMS)))
        for path in HOME.iterdir():
            if path.name not in ("images", "LocalSettings.php"):
                (self.root / "www" / path.name).symlink_to(path)
        (self.root / "www" / "images").symlink_to(self.root / "images")

    def serve(self) -> "subprocess.Popen[bytes]":
        """Start the web server: one process, since two may wait for each other's SQLite locks, a minute at a time."""
        environment = {**os.environ, "MW_CONFIG_FILE": f"{self.root}/LocalSettings.php"}
        environment.pop("PHP_CLI_SERVER_WORKERS", None)
        command = ["php", "-S", self.host, "-t", f"{self.root}/www"]
        with self.log.open("wb") as log:
            server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        while server.poll() is None:
            try:
                asked = http.client.HTTPConnection(self.host, timeout=30)
                asked.request("GET", "/api.php?action=query&format=json")
                asked.getresponse().read()
                asked.close()
            except OSError:
                time.sleep(0.05)
            else:
                return server
        raise AssertionError(self.log.read_text())

    def pages(self, texts: Mapping[str, str]) -> None:
        """Write pages; titles with their namespace (`Category:A`)."""
        folder = self._fresh()
        for title, text in texts.items():
            (folder / f"{title}.txt").write_text(text, encoding="utf-8")
        self._php("importTextFiles.php", "--overwrite", "--user", "Admin", *map(str, sorted(folder.iterdir())))
        self._php("runJobs.php")

    def upload(self, files: Mapping[str, tuple[bytes, str]]) -> None:
        """Upload files, or new versions of them: name -> bytes, text of the description page."""
        folder = self._fresh()
        for name, (data, text) in files.items():
            (folder / name).write_bytes(data)
            (folder / name).with_suffix(".txt").write_text(text, encoding="utf-8")
        kinds = ",".join(sorted({name.rpartition(".")[2] for name in files}))
        # The version that gives way is filed under the second in which it does.
        while int(time.time()) <= int(self._uploaded):
            time.sleep(0.02)
        self._php("importImages.php", "--comment-ext", "txt", "--extensions", kinds, "--overwrite", "--user", "Admin",
                  "--summary", "test", str(folder))  # fmt: skip
        self._uploaded = time.time()
        self._php("runJobs.php")

    def delete(self, title: str, reason: str) -> None:
        """Delete a page, its file included."""
        self._php("deleteBatch.php", "-u", "Admin", "-r", reason, stdin=f"{title}\n")

    def undelete(self, title: str) -> None:
        """Bring a deleted page back, its file included."""
        self._php("undelete.php", "-u", "Admin", "-r", "test", title)

    def move(self, old: str, new: str) -> None:
        """Move a page, its file included."""
        self._php("moveBatch.php", "-u", "Admin", "-r", "test", stdin=f"{old}|{new}\n")

    def say(self, name: str, table: Mapping[str, object]) -> None:
        """What the shims read: `metadata` by file name, `depicts` by page id."""
        (self.switches / f"{name}.json").write_text(json.dumps(table), encoding="utf-8")

    def _fresh(self) -> Path:
        shutil.rmtree(self.root / "work")
        (self.root / "work").mkdir()
        return self.root / "work"

    def _php(self, script: str, *arguments: str, configured: bool = True, stdin: str = "") -> None:
        conf = ["--conf", f"{self.root}/LocalSettings.php"] if configured else []
        command = ["php", str(HOME / "maintenance" / script), *conf, *arguments]
        run = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert run.returncode == 0, f"{script}: {run.stdout}{run.stderr}"


def missing() -> str | None:
    """What is to be installed before there can be a wiki, as a command; None: nothing."""
    there = shutil.which("php") is not None and (HOME / "maintenance" / "install.php").is_file()
    modules = subprocess.run(["php", "-m"], capture_output=True, text=True, check=True).stdout.split() if there else []
    needed = {"pdo_sqlite", "mbstring", "xml", "intl", "gd"}
    return None if needed <= set(modules) else f"apt-get install --no-install-recommends {PACKAGES}"


@pytest.fixture(scope="session")
def wiki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wiki]:
    """An empty wiki that answers. Where its packages are not installed: skipped, but in CI a failure."""
    if command := missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no MediaWiki here; {command}")
    made = Wiki(tmp_path_factory.mktemp("wiki"))
    server = made.serve()
    try:
        yield made
    finally:
        server.terminate()
        server.wait(timeout=30)
