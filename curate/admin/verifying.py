"""`verify` and `doctor` on a folder in whatever state it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curate.admin import configured
from curate.admin.doctor import Check, doctor
from curate.admin.session import Session
from curate.config import CONFIG_NAME
from curate.errors import CurateError, UsageError
from curate.store import catalog
from curate.store.workspace import Workspace


def verified(session: Session, repair: bool, rebuild: bool) -> Mapping[str, Any]:
    """What is wrong, once what can be made again is (`repair`), the catalog first where it is to be rebuilt."""
    if rebuild and not repair:
        raise UsageError("verify: rebuild goes with repair")
    made = {"rebuilt": _rebuilt(session)} if rebuild else {}
    if repair and not rebuild:
        return made | _repaired(session)
    return made | session.read(lambda ws: _verified(session, ws), "leave")


def forgotten(session: Session, path: str) -> Mapping[str, Any]:
    """Take it that something was deleted on purpose."""
    from curate.admin.forget import forget

    with session.drive("forget", doubts="leave") as ws:
        return forget(ws, path, catalog.user())


def _repaired(session: Session) -> dict[str, Any]:
    from curate.admin.verify import verify, wrong

    with session.open("leave") as ws:
        if ws.catalog.broken_pages():
            return verify(ws, session.progress)
    with session.drive("verify", doubts="leave") as ws:  # the catalog is sound, and may be written
        ws.said = result = verify(ws, session.progress, repair=True)
        ws.wrong = wrong(result)
    return result


def _verified(session: Session, ws: Workspace) -> dict[str, Any]:
    """What is wrong; in a workspace that can be written it is a run, for which what was killed is finished first."""
    from curate.admin.verify import verify, wrong

    if ws.borrowed or ws.catalog.broken_pages():
        return verify(ws, session.progress)
    ws.close()
    with session.drive("verify", obeying=False, doubts="leave") as own:
        own.said = result = verify(own, session.progress)
        own.wrong = wrong(result)
    return result


def _rebuilt(session: Session) -> dict[str, Any]:
    from curate.admin import rebuild

    session.obey()
    with rebuild.opened(session.root, session.config) as (ws, wrong), session.driven(ws, "rebuild"):
        return rebuild.rebuild(ws, wrong, session.engine(ws.config), session.progress)


def examined(root: Path | None, session: Session | None) -> list[Check]:
    """What this machine and the folder have and lack; `root` None where there is no curate.toml."""
    gate, wrong = None, ""
    if session is not None and (session.root / CONFIG_NAME).is_file():
        try:
            session.obey()
            configured.check(session.config)
            gate = configured.gate(session.config)
        except CurateError as error:
            wrong = str(error)
    return doctor(root, gate, wrong)
