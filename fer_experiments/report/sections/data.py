"""The images by class and part, and what their source was like."""

from fer_experiments.enumeration import enumerate_names
from fer_experiments.report.data_facts import DataFacts
from fer_experiments.report.figures.pictures import load_picture
from fer_experiments.report.section import ReportContext, Values

MAX_OPEN = 20  # classes; the table of more is folded
NAMED = 5  # largest and smallest classes in the title of a folded table
MAX_LISTED = 50  # of the files that can't be read


def build_values(context: ReportContext) -> Values:
    facts = context.facts
    train = facts.images.get("train", {})
    by_size = sorted(facts.classes, key=lambda name: -train.get(name, 0))
    alt = "Pairs of alike images that lie in different parts"
    return {
        "facts": facts,
        "max_open": MAX_OPEN,
        "largest": enumerate_names(by_size[:NAMED]),
        "smallest": enumerate_names(by_size[::-1][:NAMED]),
        "problem": context.facts_problem,
        "source_facts": describe_source(facts),
        "near_duplicates": load_picture(context.folder / "near_duplicates.png", "", alt),
        "corrupt": (facts.corrupt or [])[:MAX_LISTED],
        "more_corrupt": max(len(facts.corrupt or []) - MAX_LISTED, 0),
    }


def describe_source(facts: DataFacts) -> list[tuple[str, str]]:
    """Return (what, how many) for everything that is known of the source."""
    rows = {
        "image files": facts.files,
        "files that can't be read": None if facts.corrupt is None else len(facts.corrupt),
        "sets of pixel-identical images": facts.duplicate_groups,
        "files in such sets": facts.duplicate_files,
        "such sets in several parts of the source": facts.cross_split_groups,
        "such sets under different classes": facts.label_conflict_groups,
        **{
            f"{part} images dropped because a later part has the same image": number
            for part, number in facts.dropped_as_duplicates_of_a_more_protected_part.items()
        },
        **{
            f"{part} images dropped because another part has images of the same group": number
            for part, number in facts.dropped_as_of_a_group_in_another_part.items()
            if facts.groups
        },
    }
    return [(name, str(number)) for name, number in rows.items() if number is not None]
