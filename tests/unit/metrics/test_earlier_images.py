"""Who still uses earlier images, as a metric with a bounded number of series."""

from typing import Any

from cloudimage.metrics.earlier_images import MOST_SERIES, EarlierImageUsers


def revision(image: str, *, current: bool = False, **projects: int) -> dict[str, Any]:
    """Return a revision as the API server has it; each project has a volume besides its servers."""
    users = [
        {"projectID": project, "servers": servers, "volumes": 1}
        for project, servers in projects.items()
    ]
    return {"imageID": image, "current": current, **({"projects": users} if users else {})}


def samples(users: EarlierImageUsers) -> dict[tuple[str, ...], float]:
    [family] = users.collect()
    return {tuple(each.labels.values()): each.value for each in family.samples}


def test_users_of_earlier_images_are_counted_by_project() -> None:
    users = EarlierImageUsers()
    users.update("a", [revision("new", current=True, p=5), revision("old", p=2, q=0)])
    users.update("b", [revision("other", p=1), revision("unused")])
    assert samples(users) == {("old", "p"): 3, ("old", "q"): 1, ("other", "p"): 2}
    users.update("a", [revision("new", current=True, p=5)])
    users.gone("b")
    users.gone("never seen")
    assert samples(users) == {}


def test_the_smallest_numbers_become_one_sum() -> None:
    users = EarlierImageUsers()
    for number in range(MOST_SERIES + 3):
        users.update(str(number), [revision(f"image{number}", p=number)])
    found = samples(users)
    assert len(found) == MOST_SERIES + 1
    assert found["others", "others"] == 1 + 2 + 3
    assert found[f"image{MOST_SERIES + 2}", "p"] == MOST_SERIES + 3


def test_what_is_not_understood_hides_nothing() -> None:
    users = EarlierImageUsers()
    strange: list[dict[str, Any]] = [
        {},
        {"current": False, "projects": [{}]},
        {"current": False, "projects": None, "imageID": "x"},
        {"current": False, "projects": ["p"], "imageID": "x"},
        {"current": False, "projects": [{"projectID": "p", "servers": "two"}], "imageID": "x"},
    ]
    users.update("a", [*strange, revision("old", p=1)])
    assert samples(users) == {("old", "p"): 2}
