"""Whatever is on record, a page stays below 150 KB and shows foreign text as text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.adapters.signer import Ed25519Signer
from shared.core.canonical import digest_of
from shared.core.decide import Decision
from shared.core.manifest import empty_manifest, manifest_bytes
from shared.core.names import CURRENT, SUMMARY, object_name, record_name, timestamp
from shared.core.pointer import Move, next_pointer, sign_pointer
from shared.core.summary import Summary, line_of, summary_bytes, with_deployments
from shared.model import (
    Action,
    CommitSha,
    Finding,
    Manifest,
    ManifestRef,
    Reason,
    Severity,
    SkillId,
    Status,
    TreeId,
    Trigger,
    Withheld,
)
from shared.wiring import now
from tests.core.samples import a_live_skill
from tests.fakes.world import TRUST
from tests.functions.browser import Browser
from tests.functions.cloud import SEED, skill_text
from tests.functions.test_dashboard import assert_plain

if TYPE_CHECKING:
    from tests.functions.cloud import Cloud

MAX_PAGE_BYTES = 150_000
HOSTILE = "\u202e\"><script>alert(1)</script>'&\u200b\U000e0041{{7*7}}"
COMMIT = CommitSha("c" * 40)


def withheld(id_: str, findings: int = 50) -> Withheld:
    """A withheld skill whose every text is as nasty and as long as it may be."""
    path = f"{id_}/{HOSTILE * 20}.md"
    return Withheld(
        id=SkillId(id_),
        tree=TreeId("d" * 40),
        path=id_,
        reason=Reason.REJECTED,
        commit=COMMIT,
        findings=tuple(
            Finding(code="FM_SYNTAX", severity=Severity.ERROR, path=path, line=line, hint=HOSTILE * 20)
            for line in range(1, findings + 1)
        ),
    )


def deploy(cloud: Cloud, manifest: Manifest, times: int = 1) -> None:
    """Make a manifest live, so many times that the summary is full."""
    data = manifest_bytes(manifest)
    cloud.store.put(object_name(digest_of(data)), data, if_generation=0)
    decision = Decision(
        manifest=manifest,
        published=tuple(sorted(manifest.skills))[:20],
        removed=tuple(sorted(manifest.withheld))[:20],
        withheld=tuple(manifest.withheld.values())[:20],
    )
    pointer, summary = None, Summary()
    for number in range(times):
        move = Move(
            action=Action.DEPLOY,
            status=Status.SUCCESS,
            trigger=Trigger.WEBHOOK,
            commit=COMMIT,
            manifest=ManifestRef(sha256=digest_of(data), size=len(data), skills=len(manifest.skills)),
            token=f"{number:016x}",
            asked_at=timestamp(now()),
        )
        pointer = next_pointer(pointer, move, trust=TRUST, now=now(), poll_seconds=300.0)
        summary = with_deployments(summary, [line_of(pointer, decision)])
        cloud.store.put(record_name(pointer.deployment), sign_pointer(pointer, Ed25519Signer(SEED)), if_generation=0)
    assert pointer is not None
    cloud.store.put(CURRENT, sign_pointer(pointer, Ed25519Signer(SEED)), if_generation=0)
    cloud.store.put(SUMMARY, summary_bytes(summary), if_generation=0)


def bundle(live: int, held: list[Withheld]) -> Manifest:
    nothing = empty_manifest(channel=TRUST.channel, repo=TRUST.repo, root="", rules="made up")
    skills = [a_live_skill(f"skill-{number:04d}") for number in range(live)]
    nothing.skills.update({skill.id: skill for skill in skills})
    nothing.withheld.update({item.id: item for item in held})
    return nothing


def test_a_page_with_2000_skills_on_record_stays_small(cloud: Cloud) -> None:
    deploy(cloud, bundle(2000, []), times=50)
    page = Browser(cloud).get("/")
    assert page.status == 200
    assert "2000 skills match" in page.text
    assert len(page.source.encode()) < MAX_PAGE_BYTES


def test_a_page_of_the_nastiest_withheld_skills_stays_small_and_shows_text_as_text(cloud: Cloud) -> None:
    cloud.set("SOURCE_URL", None)
    deploy(cloud, bundle(50, [withheld(f"{number:03d}{HOSTILE * 9}") for number in range(60)]), times=50)
    for path in ("/", "/?state=withheld", "/deployments/1-1", "/deployments/1-50"):
        page = Browser(cloud).get(path)
        assert page.status == 200
        assert len(page.source.encode()) < MAX_PAGE_BYTES, path
        assert_harmless(page.source)
        assert_plain(page)
    assert "⟦U+202E⟧" in Browser(cloud).get("/").text
    assert "{{7*7}}" in Browser(cloud).get("/").text


def test_a_skill_alone_shows_all_its_findings(cloud: Cloud) -> None:
    deploy(cloud, bundle(0, [withheld("a", 30), withheld("b", 30)]))
    assert Browser(cloud).get("/?q=a").text.count("FM_SYNTAX") == 30
    assert Browser(cloud).get("/").text.count("FM_SYNTAX") == 6


def test_the_page_of_a_deployment_of_2000_skills_names_the_first_and_counts_the_rest(cloud: Cloud) -> None:
    deploy(cloud, bundle(2000, []))
    page = Browser(cloud).get("/deployments/1-1")
    assert page.text.count("+ added") == 100
    assert "and 1900 more" in page.text
    assert page.text.count("OBJECT_MISSING: these texts cannot be shown.") == 5
    assert len(page.source.encode()) < MAX_PAGE_BYTES


def test_what_is_withheld_stands_on_the_first_page_wherever_its_name_comes(cloud: Cloud) -> None:
    deploy(cloud, bundle(2000, [withheld(f"zz-{number:02d}", 1) for number in range(12)]))
    page = Browser(cloud).get("/")
    assert page.text.count("FM_SYNTAX") == 10
    assert "/?state=withheld#withheld" in page.links()


def test_findings_are_linked_to_their_lines_on_github(cloud: Cloud) -> None:
    cloud.set("SOURCE_URL", None)
    found = Finding(code="FM_MISSING", severity=Severity.ERROR, path="a b/SKILL.md", line=3, hint="x")
    deploy(cloud, bundle(1, [replace(withheld("a b", 0), findings=(found,))]))
    links = Browser(cloud).get("/").links()
    assert f"https://github.com/octo/skills/blob/{COMMIT}/a%20b/SKILL.md?plain=1#L3" in links
    assert f"https://github.com/octo/skills/commit/{COMMIT}" in links


def test_hostile_texts_of_a_skill_are_compared_as_text_within_bounds(cloud: Cloud) -> None:
    lines = "\n".join(f"{number} {HOSTILE * 30}" for number in range(60))
    for number in range(7):
        cloud.repo.write(
            f"s{number}/SKILL.md", skill_text(f"s{number}", lines.replace("\u202e", "").replace("\U000e0041", ""))
        )
    cloud.repo.commit("Add what is nasty")
    cloud.webhook(cloud.push())
    page = Browser(cloud).get("/deployments/1-1")
    assert len(page.source.encode()) < MAX_PAGE_BYTES
    assert "only the beginning is shown" in page.text
    assert_harmless(page.source)
    assert_plain(page)


def assert_harmless(source: str) -> None:
    """One script, ours; and no character that hides or turns text."""
    assert source.count("<script>") == 1
    assert not {"\u202e", "\u200b", "\U000e0041"} & set(source)
